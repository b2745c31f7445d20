"""One transaction on one asyncpg connection, with the statements of the catalogue in it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from entrepot.metadata.sql.postgres_errors import DRIVER_ERRORS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from entrepot.metadata.sql.statements import RenderedStatement, Row, Statement, StatementObserver, Value

__all__ = ["PostgresUnitExecutor"]


class PostgresUnitExecutor:
    """Implements :class:`entrepot.metadata.sql.statements.Executor` within one transaction.

    `busy` is true exactly while the server works for the unit, so that a suspension at any other time tells that the
    unit awaits something that is not its transaction. `failure` is the error of the driver that ended the transaction,
    which tells it from an error of the unit's own.
    """

    def __init__(
        self,
        connection: PoolConnectionProxy[asyncpg.Record],
        statements: Mapping[str, RenderedStatement],
        observer: StatementObserver | None,
    ) -> None:
        self._connection = connection
        self._transaction = connection.transaction(isolation="read_committed")
        self._statements = statements
        self._observer = observer
        self.busy = False
        self.failure: BaseException | None = None

    async def begin(self) -> None:
        """Begin the transaction."""
        with self._working():
            await self._transaction.start()

    async def commit(self) -> None:
        """Commit the transaction."""
        await self._transaction.commit()

    async def roll_back(self) -> None:
        """Undo the transaction, if it had begun."""
        if self._connection.is_in_transaction():
            await self._transaction.rollback()

    async def transaction_id(self) -> str | None:
        """Return the server's number of this transaction, `None` when it has changed nothing."""
        with self._working():
            number = await self._connection.fetchval("SELECT pg_current_xact_id_if_assigned()::text")
        return None if number is None else str(number)

    async def fetch_row(self, statement: Statement, **named: Value) -> Row | None:
        """Return the first row."""
        rows = await self.fetch_rows(statement, **named)
        return rows[0] if rows else None

    async def fetch_rows(self, statement: Statement, **named: Value) -> list[Row]:
        """Return all rows."""
        rendered = self._rendered(statement)
        with self._working():
            rows = await self._connection.fetch(rendered.sql, *rendered.arguments(named))
        return [tuple(row) for row in rows]

    async def execute(self, statement: Statement, **named: Value) -> int:
        """Run a change and return how many rows it affected."""
        rendered = self._rendered(statement)
        with self._working():
            status = await self._connection.execute(rendered.sql, *rendered.arguments(named))
        # The command tag ends with the count: "INSERT 0 1", "UPDATE 3".
        return int(status.rpartition(" ")[2])

    async def execute_many(self, statement: Statement, rows: Sequence[Mapping[str, Value]]) -> None:
        """Run a change for each of `rows`, sent in one go."""
        arguments = self._statements[statement.name].arguments
        await self.execute_rows(statement, [tuple(arguments(row)) for row in rows])

    async def execute_rows(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Do the same with values in order."""
        rendered = self._rendered(statement)
        with self._working():
            await self._connection.executemany(rendered.sql, rows)

    def _rendered(self, statement: Statement) -> RenderedStatement:
        if self._observer is not None:
            self._observer.statement(statement.name)
        return self._statements[statement.name]

    def others_wait(self) -> bool:
        """Whether somebody does, only the server knows; a long unit keeps its vacuum from what dies meanwhile."""
        return True

    @contextmanager
    def _working(self) -> Generator[None]:
        self.busy = True
        try:
            yield
        except DRIVER_ERRORS as error:
            self.failure = error
            raise
        finally:
            self.busy = False
