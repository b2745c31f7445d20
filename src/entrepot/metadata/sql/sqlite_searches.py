"""Searches of a SQLite file that may look at every row of a table: on threads that nothing else waits for."""

from __future__ import annotations

import asyncio
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING

from entrepot.metadata.audit_store import MOST_SEARCHES
from entrepot.metadata.errors import StatementTooLongError
from entrepot.metadata.sql.audit_queries import STATEMENTS
from entrepot.metadata.sql.sqlite_threads import ReadingThreads
from entrepot.metadata.sql.statements import render_all

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.metadata.sql.statements import RenderedStatement, Row, Statement, StatementObserver, Value

__all__ = ["SqliteSearches"]


class SqliteSearches:
    """Implements :class:`entrepot.metadata.sql.statements.ReadExecutor`. Belongs to one event loop.

    A statement has its time from when it begins, however long it waited for a thread, and ends when nobody waits for it
    any more.
    """

    def __init__(
        self, path: Path, statement_timeout_seconds: float, observer: StatementObserver | None
    ) -> None:
        self._path = path
        self._timeout_seconds = statement_timeout_seconds
        self._observer = observer
        self._statements = render_all(STATEMENTS, "sqlite")
        self._pool = ReadingThreads(path, MOST_SEARCHES, statement_timeout_seconds, "metadata-search")

    async def fetch_row(self, statement: Statement, **named: Value) -> Row | None:
        """Return the first row."""
        rows = await self.fetch_rows(statement, **named)
        return rows[0] if rows else None

    async def fetch_rows(self, statement: Statement, **named: Value) -> list[Row]:
        """Return all rows.

        Raises:
            StatementTooLongError: it took too long.
        """
        if self._observer is not None:
            self._observer.statement(statement.name)
        rendered = self._statements[statement.name]
        given_up = Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._pool.executor, self._fetch, rendered, rendered.arguments(named), given_up
            )
        finally:
            given_up.set()

    def stop(self) -> Sequence[sqlite3.Connection]:
        """Wait for searches under way, and return all connections, which are the caller's to close. Blocks."""
        return self._pool.stop()

    def _fetch(self, rendered: RenderedStatement, arguments: list[Value], given_up: Event) -> list[Row]:
        end = perf_counter() + self._timeout_seconds
        rows = self._pool.fetch(rendered, arguments, lambda: given_up.is_set() or perf_counter() > end)
        if rows is None:
            detail = f"{self._path}: {rendered.name} took longer than {self._timeout_seconds:g} s"
            raise StatementTooLongError(detail)
        return rows
