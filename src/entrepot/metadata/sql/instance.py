"""Facts about the database itself, read from its only row of that kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import ReadExecutor

__all__ = ["POINT_READS", "STATEMENTS", "SqlInstanceReader"]

INCARNATION: Final = Statement("instance.incarnation", "SELECT incarnation FROM instance WHERE id = 1")
# Not among the point reads on purpose: a probe must not stand on the event loop when the disk hangs.
PING: Final = Statement("instance.ping", "SELECT id FROM instance WHERE id = 1")

POINT_READS: Final = (INCARNATION,)
STATEMENTS: Final = (*POINT_READS, PING)


class SqlInstanceReader:
    """Implements :class:`entrepot.metadata.store.InstanceReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def incarnation(self) -> str:
        """See the protocol."""
        row = await self._executor.fetch_row(INCARNATION)
        if row is None:
            raise MetadataUnavailableError("the row that identifies the database is gone")
        return str(row[0])

    async def ping(self) -> None:
        """See the protocol."""
        if not await self._executor.fetch_rows(PING):
            raise MetadataUnavailableError("the row that identifies the database is gone")
