"""Point reads of several requests in one statement: a pull waits for a round trip, and the database for the next one.

Where many pull at the same time, most of what a point read costs, on both sides, is the message that asks for it and
the one that answers (docs/decisions/0063-pulls-ask-together.md).
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, final

from entrepot.metadata.sql.statements import render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from entrepot.metadata.sql.statements import Row, Statement, Value

__all__ = ["GatheredReads", "render_gathered"]

_MOST: Final = 16
"""As many manifests may come with one answer, each of up to 4 MiB."""
_PARAMETER: Final = re.compile(r"\$(\d+)")

_Arguments: TypeAlias = "tuple[Value, ...]"
_Found: TypeAlias = "dict[_Arguments, Row]"


def render_gathered(statement: Statement) -> str:
    """Return SQL that reads what `statement` reads for each set of its arguments, the place of the set (from 1) first.

    Its parameters, each a text, become arrays. It is run for one set after the other, by the plan that it has alone:
    PostgreSQL does not take it apart, as long as it joins by LEFT JOIN on them, which a test looks at.
    """
    rendered = render(statement, "postgresql")
    names = rendered.parameters
    read = _PARAMETER.sub(lambda match: f"asked.{names[int(match[1]) - 1]}", rendered.sql)
    arrays = ", ".join(f"${number}::text[]" for number in range(1, len(names) + 1))
    asked = f"unnest({arrays}) WITH ORDINALITY AS asked ({', '.join(names)}, place)"
    return f"SELECT asked.place, found.* FROM {asked} CROSS JOIN LATERAL ({read}) AS found"  # noqa: S608 - the catalogue's own words


@dataclass(frozen=True, slots=True)
class _Group:
    """What is asked for together, each once and in order, and the task that reads it."""

    asked: dict[_Arguments, None]
    reading: asyncio.Task[_Found]


@final
class GatheredReads:
    """Asks at once for all that is asked for in one turn of the event loop, to which it belongs.

    What is read is read after it was asked for, so that everybody sees what had been committed by then. Who stops
    waiting leaves the others alone.
    """

    def __init__(
        self,
        statements: Iterable[Statement],
        fetch: Callable[[str, Sequence[object]], Awaitable[list[Row]]],
    ) -> None:
        """Gather these statements, whose parameters are texts; `fetch` runs SQL with its arguments."""
        self._sql = {
            statement.name: (render(statement, "postgresql").sql, render_gathered(statement))
            for statement in statements
        }
        self._fetch = fetch
        self._open: dict[str, _Group] = {}
        self._under_way: set[asyncio.Task[_Found]] = set()

    def gathers(self, statement: Statement) -> bool:
        """Whether :meth:`fetch_row` is for this one."""
        return statement.name in self._sql

    async def fetch_row(self, statement: Statement, arguments: _Arguments) -> Row | None:
        """Return the row of a point read, or raise what `fetch` does."""
        group = self._open.get(statement.name)
        if group is None or len(group.asked) == _MOST:
            group = self._open[statement.name] = self._begin(statement.name)
        group.asked[arguments] = None
        found = await asyncio.shield(group.reading)
        return found.get(arguments)

    def _begin(self, name: str) -> _Group:
        """Have a group read when this turn of the event loop is over."""
        asked: dict[_Arguments, None] = {}
        reading = asyncio.get_running_loop().create_task(self._read(name, asked))
        self._under_way.add(reading)
        reading.add_done_callback(self._under_way.discard)
        return _Group(asked, reading)

    async def _read(self, name: str, asked: dict[_Arguments, None]) -> _Found:
        group = self._open.get(name)
        if group is not None and group.asked is asked:
            del self._open[name]
        places = tuple(asked)
        alone, together = self._sql[name]
        if len(places) == 1:
            return dict(zip(places, await self._fetch(alone, places[0]), strict=False))  # one row or none
        rows = await self._fetch(together, [list(column) for column in zip(*places, strict=True)])
        return {places[place - 1]: tuple(row) for place, *row in rows}
