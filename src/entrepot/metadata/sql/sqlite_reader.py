"""Reads of a SQLite file: on the event loop what is quick there, all others on a few threads."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from time import perf_counter
from typing import TYPE_CHECKING, Final

from entrepot.kernel.loop_allowance import LoopAllowance
from entrepot.metadata.errors import MetadataTimeoutError
from entrepot.metadata.sql.catalogue import POINT_READS, PULL_READS, SHORT_LISTINGS, STATEMENTS
from entrepot.metadata.sql.sqlite_connection import (
    connect_for_reading_at_once,
    is_busy,
    is_interrupted,
    translate_error,
)
from entrepot.metadata.sql.sqlite_row_memory import RowMemory
from entrepot.metadata.sql.sqlite_searches import SqliteSearches
from entrepot.metadata.sql.sqlite_threads import ReadingThreads
from entrepot.metadata.sql.statements import render_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.metadata.sql.statements import RenderedStatement, Row, Statement, StatementObserver, Value

__all__ = ["SqliteReader"]

_THREADS: Final = 3
"""More do not help: lookups per second fall with each further thread, as the interpreter is shared."""
_SHORT_STEPS: Final = 2000
"""After how many steps of SQLite's machine a listing on the event loop is asked whether it is too long, some 60 µs."""
_KEPT: Final = frozenset(statement.name for statement in PULL_READS)


class SqliteReader:
    """Implements :class:`entrepot.metadata.sql.statements.ReadExecutor`. Belongs to one event loop.

    Every statement is read to its end within one call, so no snapshot is held across an `await`.

    Attributes:
        searches: what reads that may take long are for; it has connections and threads of its own.
    """

    def __init__(
        self, path: Path, statement_timeout_seconds: float, observer: StatementObserver | None
    ) -> None:
        self._path = path
        self._timeout_seconds = statement_timeout_seconds
        self._observer = observer
        self._point_reads = render_all(POINT_READS, "sqlite")
        self._short_listings = render_all(SHORT_LISTINGS, "sqlite")
        self._statements = render_all(STATEMENTS, "sqlite")
        self._allowance = LoopAllowance()
        # Where there is a lock, a thread waits for it instead.
        self._loop_connection = connect_for_reading_at_once(path, statement_timeout_seconds)
        self._memory = RowMemory(path, self._loop_connection, self._allowance)
        self._pool = ReadingThreads(path, _THREADS, statement_timeout_seconds, "metadata-reader")
        self.searches = SqliteSearches(path, statement_timeout_seconds, observer)

    async def fetch_row(self, statement: Statement, **named: Value) -> Row | None:
        """Return the only row of a point read."""
        rendered = self._point_reads.get(statement.name)
        if rendered is None:
            return await self._fetch_row_on_thread(self._statements[statement.name], named)
        arguments = rendered.arguments(named)
        key = (statement.name, *arguments) if statement.name in _KEPT else ()
        if key and (kept := self._memory.find(key)) is not None:
            return kept or None
        started = perf_counter()
        if not self._allowance.allows(started):
            return await self._fetch_row_on_thread(rendered, named)
        if self._observer is not None:
            self._observer.statement(statement.name)
        try:
            row: Row | None = self._loop_connection.execute(rendered.sql, arguments).fetchone()
        except sqlite3.Error as error:
            if not is_busy(error):
                raise translate_error(error, self._path) from error
            return await self._fetch_row_on_thread(rendered, named)
        self._allowance.record(started, perf_counter())
        if key:
            self._memory.keep(key, row)
        return row

    async def fetch_rows(self, statement: Statement, **named: Value) -> list[Row]:
        """Return all rows of a listing, read on a thread unless it is a short one."""
        short = self._short_listings.get(statement.name)
        if short is not None and (rows := self._fetch_short(short, named)) is not None:
            return rows
        return await self._fetch_on_thread(self._statements[statement.name], named)

    def forget(self) -> None:
        """Keep no row any more. On the event loop, before :meth:`stop`."""
        self._memory.end()

    def stop(self) -> Sequence[sqlite3.Connection]:
        """Wait for reads under way, and return all connections, which are the caller's to close. Blocks."""
        return self._loop_connection, *self._pool.stop(), *self.searches.stop()

    def _fetch_short(self, rendered: RenderedStatement, named: dict[str, Value]) -> list[Row] | None:
        """Return all rows, or `None` when that takes long or a lock: then a thread begins anew.

        SQLite counts the steps of a statement over all its runs, so that the first question may come at once. The
        second one ends it: after 2,000 to 4,000 steps, which is 20 to 40 referrers.
        """
        started = perf_counter()
        if not self._allowance.allows(started):
            return None
        connection = self._loop_connection
        connection.set_progress_handler(itertools.count().__next__, _SHORT_STEPS)
        try:
            rows = connection.execute(rendered.sql, rendered.arguments(named)).fetchall()
        except sqlite3.Error as error:
            if is_busy(error) or is_interrupted(error):
                return None
            raise translate_error(error, self._path) from error
        finally:
            connection.set_progress_handler(None, 0)
        self._allowance.record(started, perf_counter())
        if self._observer is not None:
            self._observer.statement(rendered.name)
        return rows

    async def _fetch_row_on_thread(self, rendered: RenderedStatement, named: dict[str, Value]) -> Row | None:
        rows = await self._fetch_on_thread(rendered, named)
        return rows[0] if rows else None

    async def _fetch_on_thread(self, rendered: RenderedStatement, named: dict[str, Value]) -> list[Row]:
        if self._observer is not None:
            self._observer.statement(rendered.name)
        loop = asyncio.get_running_loop()
        give_up_at = perf_counter() + self._timeout_seconds
        arguments = rendered.arguments(named)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await loop.run_in_executor(
                    self._pool.executor, self._fetch, rendered, arguments, give_up_at
                )
        except TimeoutError as error:
            raise self._too_long(rendered) from error

    def _fetch(self, rendered: RenderedStatement, arguments: list[Value], give_up_at: float) -> list[Row]:
        """Return all rows; what takes too long is ended, or it would keep a thread from those who ask for less."""
        rows = self._pool.fetch(rendered, arguments, lambda: perf_counter() > give_up_at)
        if rows is None:
            raise self._too_long(rendered)
        return rows

    def _too_long(self, rendered: RenderedStatement) -> MetadataTimeoutError:
        detail = f"{self._path}: {rendered.name} took longer than {self._timeout_seconds:g} s"
        return MetadataTimeoutError(detail)
