"""Statements of the catalogue on the one connection that writes to a SQLite file."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from entrepot.metadata.sql.catalogue import STATEMENTS
from entrepot.metadata.sql.sqlite_connection import translate_error
from entrepot.metadata.sql.statements import render_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from entrepot.metadata.sql.statements import Row, Statement, StatementObserver, Value

__all__ = ["SqliteUnitExecutor"]


class SqliteUnitExecutor:
    """Implements :class:`entrepot.metadata.sql.statements.Executor` on the writer thread; never suspends."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        observer: StatementObserver | None,
        others_wait: Callable[[], bool],
    ) -> None:
        self._connection = connection
        self._others_wait = others_wait
        self._path = path
        self._observer = observer
        self._statements = render_all(STATEMENTS, "sqlite")

    async def fetch_row(self, statement: Statement, **named: Value) -> Row | None:
        """Return the first row."""
        rows = self._run(statement, named).fetchall()
        return rows[0] if rows else None

    async def fetch_rows(self, statement: Statement, **named: Value) -> list[Row]:
        """Return all rows."""
        return self._run(statement, named).fetchall()

    async def execute(self, statement: Statement, **named: Value) -> int:
        """Run a change and return how many rows it affected."""
        return self._run(statement, named).rowcount

    async def execute_many(self, statement: Statement, rows: Sequence[Mapping[str, Value]]) -> None:
        """Run a change for each of `rows`."""
        for row in rows:
            self._run(statement, row)

    async def execute_rows(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Do the same with values in order."""
        if self._observer is not None:
            self._observer.statement(statement.name)
        try:
            self._connection.executemany(self._statements[statement.name].sql, rows)
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error

    def others_wait(self) -> bool:
        """Whether other units or other processes wait for this one."""
        return self._others_wait()

    def _run(self, statement: Statement, named: Mapping[str, Value]) -> sqlite3.Cursor:
        if self._observer is not None:
            self._observer.statement(statement.name)
        rendered = self._statements[statement.name]
        try:
            return self._connection.execute(rendered.sql, rendered.arguments(named))
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error
