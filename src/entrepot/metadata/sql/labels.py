"""Labels: of a project, or of the registry, which stands as project 0 in parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.label_store import LabelPage, LabelRow, LabelText
from entrepot.metadata.sql.patterns import filter_containing
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.label_store import LabelQuery
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Row, Value

__all__ = ["STATEMENTS", "SqlLabelReader", "SqlLabelRows"]

_NAMED: Final = (
    "name > '' AND (:name = '' OR name = :name) AND (:part = '' OR lower(name) LIKE :part ESCAPE '!')"
)
_OF_PROJECT: Final = f"project_id = :project_id AND {_NAMED}"
_OF_REGISTRY: Final = f"project_id IS NULL AND {_NAMED}"
_LIST: Final = """
    SELECT id, project_id, name, description, color, created_at, updated_at FROM labels
    WHERE [scope]
    ORDER BY
        CASE :sort WHEN 'name' THEN name END, CASE :sort WHEN '-name' THEN name END DESC,
        CASE :sort WHEN 'creation_time' THEN created_at END, CASE :sort WHEN '-creation_time' THEN created_at END DESC,
        id
    LIMIT CAST(:rows AS bigint) OFFSET CAST(:skipped AS bigint)
    """
_COUNT: Final = "SELECT count(*) FROM labels WHERE [scope]"

LIST_OF_PROJECT: Final = Statement("labels.list_of_project", _LIST.replace("[scope]", _OF_PROJECT))
LIST_OF_REGISTRY: Final = Statement("labels.list_of_registry", _LIST.replace("[scope]", _OF_REGISTRY))
COUNT_OF_PROJECT: Final = Statement("labels.count_of_project", _COUNT.replace("[scope]", _OF_PROJECT))
COUNT_OF_REGISTRY: Final = Statement("labels.count_of_registry", _COUNT.replace("[scope]", _OF_REGISTRY))
FIND: Final = Statement(
    "labels.find",
    "SELECT id, project_id, name, description, color, created_at, updated_at FROM labels WHERE id = :label_id",
)
HOLD: Final = Statement(
    "labels.hold",
    """
    SELECT id, project_id, name, description, color, created_at, updated_at FROM labels
    WHERE id = :label_id AND coalesce(project_id, 0) = :project_id {for_update}
    """,
)
ID_IN_PROJECT: Final = Statement(
    "labels.id_in_project", "SELECT id FROM labels WHERE project_id = :project_id AND name = :name"
)
ID_IN_REGISTRY: Final = Statement(
    "labels.id_in_registry", "SELECT id FROM labels WHERE project_id IS NULL AND name = :name"
)
INSERT: Final = Statement(
    "labels.insert",
    """
    INSERT INTO labels (project_id, name, description, color, created_at, updated_at)
    VALUES (:project_id, :name, :description, :color, {now}, {now})
    ON CONFLICT DO NOTHING
    RETURNING id
    """,
)
CHANGE: Final = Statement(
    "labels.change",
    """
    UPDATE labels SET name = :name, description = :description, color = :color, updated_at = {now}
    WHERE id = :label_id
    """,
)
REMOVE: Final = Statement("labels.remove", "DELETE FROM labels WHERE id = :label_id")

STATEMENTS: Final = (
    LIST_OF_PROJECT,
    LIST_OF_REGISTRY,
    COUNT_OF_PROJECT,
    COUNT_OF_REGISTRY,
    FIND,
    HOLD,
    ID_IN_PROJECT,
    ID_IN_REGISTRY,
    INSERT,
    CHANGE,
    REMOVE,
)


class SqlLabelReader:
    """Implements :class:`entrepot.metadata.label_store.LabelReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_page(self, project_id: int | None, query: LabelQuery) -> LabelPage:
        """See the protocol."""
        count, listing = COUNT_OF_REGISTRY, LIST_OF_REGISTRY
        filters: dict[str, Value] = {"name": query.name, "part": filter_containing(query.name_part)}
        if project_id is not None:
            count, listing = COUNT_OF_PROJECT, LIST_OF_PROJECT
            filters["project_id"] = project_id
        total = await self._executor.fetch_rows(count, **filters)
        rows = await self._executor.fetch_rows(
            listing, **filters, sort=query.order, rows=query.limit, skipped=query.offset
        )
        return LabelPage([_label(row) for row in rows], int(total[0][0]))

    async def find(self, label_id: int) -> LabelRow | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND, label_id=label_id)
        return _label(rows[0]) if rows else None


class SqlLabelRows:
    """Implements :class:`entrepot.metadata.label_store.LabelRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def find(self, project_id: int | None, label_id: int) -> LabelRow | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD, label_id=label_id, project_id=project_id or 0)
        return None if row is None else _label(row)

    async def id_of(self, project_id: int | None, name: str) -> int | None:
        """See the protocol."""
        if project_id is None:
            row = await self._executor.fetch_row(ID_IN_REGISTRY, name=name)
        else:
            row = await self._executor.fetch_row(ID_IN_PROJECT, project_id=project_id, name=name)
        return None if row is None else int(row[0])

    async def insert(self, project_id: int | None, text: LabelText) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(
            INSERT, project_id=project_id, name=text.name, description=text.description, color=text.color
        )
        return None if row is None else int(row[0])

    async def change(self, label_id: int, text: LabelText) -> None:
        """See the protocol."""
        await self._executor.execute(
            CHANGE, label_id=label_id, name=text.name, description=text.description, color=text.color
        )

    async def remove(self, label_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(REMOVE, label_id=label_id)


def _label(row: Row) -> LabelRow:
    number, project_id, name, description, color, created_at, updated_at = row
    return LabelRow(number, project_id, LabelText(name, description, color), created_at, updated_at)
