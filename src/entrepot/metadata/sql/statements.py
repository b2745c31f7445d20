"""Literal SQL with named parameters, rendered once per dialect, and the protocols of whatever runs it.

A statement is written once for both engines. What they can't agree on is a token in braces:

======================  ==============================================================================
token                   meaning
======================  ==============================================================================
``{now}``               milliseconds since 1970 by the database's clock (F27)
``{for_update}``        lock the rows that were read; nothing on SQLite, where writers are alone anyway
``{for_share}``         the same, but several may hold the lock at once
``{for_key_share}``     the same, and the rows can be changed meanwhile, but for their keys; they are not deleted
``{texts:name}``        a set of texts, from a JSON array in the parameter ``name``
``{integers:name}``     a set of integers, from a JSON array in the parameter ``name``
``{is_text:name}``      equal to the text ``name``; PostgreSQL does not take the column for constant in ORDER BY then
``{bytes}``             the type of bytes, for CAST
``{email_not_ascii}``    whether the column ``email`` has more than ASCII, whose case lower() does not know
``{explicit_id}``       lets an INSERT choose the number of a row that the engine would number itself
``{last_outbox_id}``    the greatest number in the outbox; the engine's own numbers go on after it from then on
======================  ==============================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "Dialect",
    "Executor",
    "ReadExecutor",
    "RenderedStatement",
    "Row",
    "Statement",
    "StatementObserver",
    "Value",
    "render",
    "render_all",
]

Dialect = Literal["sqlite", "postgresql"]
Value = int | str | bytes | None
Row = tuple[Any, ...]

NOW: Final[dict[Dialect, str]] = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
}
_TOKENS: Final[dict[Dialect, dict[str, str]]] = {
    "sqlite": {
        "now": NOW["sqlite"],
        "for_update": "",
        "for_share": "",
        "for_key_share": "",
        "bytes": "BLOB",
        "texts": "(SELECT value FROM json_each(:{name}))",
        "integers": "(SELECT value FROM json_each(:{name}))",
        "is_text": "= :{name}",
        "email_not_ascii": "length(email) <> length(CAST(email AS BLOB))",
        "explicit_id": "",
        # AUTOINCREMENT goes on after the greatest number that was ever there.
        "last_outbox_id": "max(id)",
        "last_project_id": "max(id)",
    },
    "postgresql": {
        "now": NOW["postgresql"],
        "for_update": "FOR UPDATE",
        "for_share": "FOR SHARE",
        "for_key_share": "FOR KEY SHARE",
        "bytes": "bytea",
        "texts": "(SELECT json_array_elements_text(:{name}))",
        "integers": "(SELECT json_array_elements_text(:{name})::bigint)",
        "is_text": "= ANY (ARRAY[:{name}])",
        "email_not_ascii": "char_length(email) <> octet_length(email)",
        "explicit_id": "OVERRIDING SYSTEM VALUE",
        "last_outbox_id": "setval(pg_get_serial_sequence('outbox', 'id'), max(id))",
        "last_project_id": (
            "setval(pg_get_serial_sequence('projects', 'id'), "
            "greatest(max(id), nextval(pg_get_serial_sequence('projects', 'id'))))"
        ),
    },
}
_TOKEN: Final = re.compile(r"\{([a-z_]+)(?::([a-z_]+))?\}")
_PARAMETER: Final = re.compile(r"(?<![:\w]):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement of the catalogue; `name` is `<aggregate>.<what it does>`."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class RenderedStatement:
    """A statement as one dialect takes it, with the names of its positional parameters in order."""

    name: str
    sql: str
    parameters: tuple[str, ...]

    def arguments(self, named: Mapping[str, Value]) -> list[Value]:
        """Return the values in the order in which the driver wants them."""
        return [named[parameter] for parameter in self.parameters]


class StatementObserver(Protocol):
    """Somebody who counts what a store does, for budgets per request; called on whatever thread does it."""

    def statement(self, name: str) -> None:
        """A statement of the catalogue is about to run."""

    def commit(self) -> None:
        """A write transaction was committed."""


class ReadExecutor(Protocol):
    """Runs statements that change nothing. Raises subclasses of `MetadataError` only."""

    async def fetch_row(self, statement: Statement, **named: Value) -> Row | None:
        """Return the only row of a point read; where the engine allows it, without leaving the event loop."""
        ...

    async def fetch_rows(self, statement: Statement, **named: Value) -> list[Row]:
        """Return all rows of a listing."""
        ...


class Executor(ReadExecutor, Protocol):
    """Runs statements within a unit."""

    async def execute(self, statement: Statement, **named: Value) -> int:
        """Run a change and return how many rows it affected."""
        ...

    async def execute_many(self, statement: Statement, rows: Sequence[Mapping[str, Value]]) -> None:
        """Run a change once for each of `rows`."""

    async def execute_rows(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Do the same with values in the order in which the statement names its parameters, each once.

        For rows that come by the thousand: values by name cost a third of what the engine takes for them.
        """

    def others_wait(self) -> bool:
        """Whether somebody waits to write until this unit ends; also where that can't be told."""
        ...


@cache
def render(statement: Statement, dialect: Dialect) -> RenderedStatement:
    """Translate tokens and parameters: `?` on SQLite, `$1` and so on, one per name, on PostgreSQL."""
    tokens = _TOKENS[dialect]

    def replace_token(match: re.Match[str]) -> str:
        return tokens[match[1]].replace("{name}", match[2] or "")

    sql = " ".join(_TOKEN.sub(replace_token, statement.sql).split())
    occurrences: list[str] = _PARAMETER.findall(sql)
    if dialect == "sqlite":
        return RenderedStatement(statement.name, _PARAMETER.sub("?", sql), tuple(occurrences))
    order = tuple(dict.fromkeys(occurrences))
    numbered = _PARAMETER.sub(lambda match: f"${order.index(match[1]) + 1}", sql)
    return RenderedStatement(statement.name, numbered, order)


def render_all(statements: Iterable[Statement], dialect: Dialect) -> dict[str, RenderedStatement]:
    """Render a catalogue, by name."""
    return {statement.name: render(statement, dialect) for statement in statements}
