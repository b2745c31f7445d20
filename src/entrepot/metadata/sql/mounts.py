"""Where a blob can be mounted from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.records import MountableBlob
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.sql.statements import Executor, ReadExecutor
    from entrepot.oci.digest import Digest

__all__ = ["STATEMENTS", "SqlMountReader", "SqlMountRows"]

REPOSITORIES_WITH: Final = Statement(
    "mounts.repositories_with",
    """
    SELECT r.name
    FROM blobs b
    JOIN repository_blobs l ON l.blob_id = b.id
    JOIN repositories r ON r.id = l.repository_id
    WHERE b.digest = :digest AND b.state = 'live' AND r.deleted_at IS NULL
    LIMIT :rows
    """,
)
HOLD_SOURCE: Final = Statement(
    "mounts.hold_source",
    """
    SELECT b.id, b.size_bytes, b.storage_key
    FROM repositories r
    JOIN repository_blobs l ON l.repository_id = r.id
    JOIN blobs b ON b.id = l.blob_id
    WHERE r.name = :repository AND r.deleted_at IS NULL AND b.digest = :digest AND b.state = 'live'
    {for_share}
    """,
)

STATEMENTS: Final = (REPOSITORIES_WITH, HOLD_SOURCE)


class SqlMountReader:
    """Implements :class:`entrepot.metadata.store.MountReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def repositories_with(self, digest: Digest, limit: int) -> Sequence[str]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(REPOSITORIES_WITH, digest=str(digest), rows=limit)
        return [str(row[0]) for row in rows]


class SqlMountRows:
    """Implements :class:`entrepot.metadata.store.MountRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def hold_source(self, repository: str, digest: Digest) -> MountableBlob | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD_SOURCE, repository=repository, digest=str(digest))
        return None if row is None else MountableBlob(*row)
