"""The catalog: the names of all repositories, in the order of their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.records import NamePage
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import ReadExecutor

__all__ = ["STATEMENTS", "SqlCatalogReader"]

LIST_NAMES: Final = Statement(
    "catalog.list_names",
    """
    SELECT r.name FROM repositories r
    WHERE r.deleted_at IS NULL AND r.name > :after
    ORDER BY r.name LIMIT :rows
    """,
)

STATEMENTS: Final = (LIST_NAMES,)


class SqlCatalogReader:
    """Implements :class:`entrepot.metadata.store.CatalogReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_names(self, after: str, limit: int) -> NamePage:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LIST_NAMES, after=after, rows=limit + 1)
        names = tuple(name for (name,) in rows)
        return NamePage(names[:limit], more=len(names) > limit)
