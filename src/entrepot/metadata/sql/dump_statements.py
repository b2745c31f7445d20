"""Statements over whole tables of any schema version, put together from names that the database itself reports.

A dump of an older schema has other columns than this program's, so these statements can't stand in the catalogue. No
name in them comes from outside: tables are ours by a fixed list, columns are those of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.metadata.dumps import DUMPED_TABLES, LEFT_OUT_TABLES, DumpedColumn
from entrepot.metadata.errors import MetadataError
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.dumps import ColumnKind

__all__ = ["FACTS", "OUR_TABLES", "TableShape", "batch_rows", "kind_of", "require_columns", "select_all"]

FACTS: Final = Statement(
    "dump.facts",
    """
    SELECT incarnation, (SELECT max(version) FROM schema_migrations), (SELECT coalesce(max(id), 0) FROM outbox), {now}
    FROM instance WHERE id = 1
    """,
)

OUR_TABLES: Final = (*DUMPED_TABLES, *LEFT_OUT_TABLES)
"""Every table of ours, each after those its rows refer to."""

_KINDS: Final[Mapping[str, ColumnKind]] = {
    "INTEGER": "integer",
    "BIGINT": "integer",
    "TEXT": "text",
    "BLOB": "bytes",
    "BYTEA": "bytes",
}
_ROWS: Final = 1000
_ROWS_WITH_BYTES: Final = 16
"""Rows that hold bytes are read in smaller batches: the body of a manifest may have 4 MiB."""


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table as the database describes it; `key` is its primary key."""

    name: str
    columns: tuple[DumpedColumn, ...]
    key: tuple[str, ...]


def kind_of(declared: str) -> ColumnKind:
    """Return what values a column of this declared type holds.

    Raises:
        MetadataError: a type that no table of ours has.
    """
    kind = _KINDS.get(declared.upper())
    if kind is None:
        raise MetadataError(f"a column has the type {declared}, which a dump can't hold")
    return kind


def select_all(shape: TableShape) -> str:
    """Return the statement that reads every row in the order of the primary key."""
    columns = ", ".join(column.name for column in shape.columns)
    return f"SELECT {columns} FROM {shape.name} ORDER BY {', '.join(shape.key)}"  # noqa: S608  # see the top


def require_columns(shape: TableShape, columns: Sequence[str]) -> None:
    """Refuse columns that the table does not have.

    Raises:
        MetadataError: as said.
    """
    unknown = set(columns) - {column.name for column in shape.columns}
    if unknown or not shape.columns:
        named = ", ".join(sorted(unknown))
        raise MetadataError(
            f"table {shape.name} has no column {named}" if named else f"no table {shape.name}"
        )


def batch_rows(shape: TableShape) -> int:
    """Return how many rows are read at once."""
    return _ROWS_WITH_BYTES if any(column.kind == "bytes" for column in shape.columns) else _ROWS
