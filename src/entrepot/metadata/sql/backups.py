"""When the last backup was completed, and blobs whose bytes came back from one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.backup_store import Completion
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import Executor, ReadExecutor
    from entrepot.oci.digest import Digest

__all__ = ["STATEMENTS", "SqlBackupReader", "SqlBackupRows"]

LAST_COMPLETED: Final = Statement(
    "backups.last_completed", "SELECT due_at, {now} FROM sweeps WHERE name = 'backup'"
)
# A row of its own table would hold this one value; where the work of this node on its stores is noted, it has a place.
RECORD_COMPLETED: Final = Statement(
    "backups.record_completed",
    """
    INSERT INTO sweeps (name, progress, fence, due_at) VALUES ('backup', :snapshot, 1, {now})
    ON CONFLICT (name) DO UPDATE SET progress = excluded.progress, fence = sweeps.fence + 1, due_at = excluded.due_at
    """,
)
REPOINT: Final = Statement(
    "backups.repoint",
    "UPDATE blobs SET storage_key = :new_key WHERE digest = :digest AND storage_key = :expected_key",
)

STATEMENTS: Final = (LAST_COMPLETED, RECORD_COMPLETED, REPOINT)


class SqlBackupReader:
    """Implements :class:`entrepot.metadata.backup_store.BackupReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def last_completed(self) -> Completion | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LAST_COMPLETED)
        return Completion(*map(int, rows[0])) if rows else None


class SqlBackupRows:
    """Implements :class:`entrepot.metadata.backup_store.BackupRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def record_completed(self, snapshot: str) -> None:
        """See the protocol."""
        await self._executor.execute(RECORD_COMPLETED, snapshot=snapshot)

    async def repoint(self, digest: Digest, expected_key: str, new_key: str) -> bool:
        """See the protocol."""
        changed = await self._executor.execute(
            REPOINT, digest=str(digest), expected_key=expected_key, new_key=new_key
        )
        return changed == 1
