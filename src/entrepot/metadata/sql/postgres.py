"""The metadata store on PostgreSQL: what any number of nodes share.

Units run at READ COMMITTED. That is enough because every statement that decides something locks the rows it decides on
(`FOR UPDATE`, `FOR SHARE`, `ON CONFLICT`, or an UPDATE that states its condition), and because a later statement of a
unit sees what others committed meanwhile, which the look-up after a refused insert depends on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

import asyncpg

from entrepot.metadata.sql.catalogue import PULL_READS, STATEMENTS
from entrepot.metadata.sql.postgres_errors import DRIVER_ERRORS, is_connection_loss, translate_error
from entrepot.metadata.sql.postgres_gathering import GatheredReads
from entrepot.metadata.sql.postgres_pool import PostgresPool
from entrepot.metadata.sql.postgres_units import PostgresUnits
from entrepot.metadata.sql.statements import render_all
from entrepot.metadata.sql.transaction import SqlReaders
from entrepot.metadata.unit_guard import run_guarded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from entrepot.metadata.sql.statements import RenderedStatement, Row, Statement, StatementObserver, Value
    from entrepot.metadata.store import Transaction

__all__ = ["PLAN_FOR_VALUES", "PostgresMetadata", "PostgresReader", "PostgresSearches"]

T = TypeVar("T")

_MILLISECONDS: Final = 1000
_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 30.0
_SLACK_SECONDS: Final = 1.0
"""How much longer than the server we wait, so that its own, clearer refusal comes first."""
PLAN_FOR_VALUES: Final = "SET LOCAL plan_cache_mode = force_custom_plan"
"""A search has twenty conditions, most of them unused. Which index narrows it depends on the values: of unknown ones
the server guesses that any range of times or numbers has a two-hundredth of the rows, fewer than any name."""


class PostgresReader:
    """Implements :class:`entrepot.metadata.sql.statements.ReadExecutor` on a pool.

    A read whose connection was lost is done once more on another one: it changes nothing, so that is always right.
    """

    def __init__(
        self,
        pool: PostgresPool,
        statements: Mapping[str, RenderedStatement],
        timeout_seconds: float,
        observer: StatementObserver | None,
    ) -> None:
        self._pool = pool
        self._statements = statements
        self._timeout_seconds = timeout_seconds
        self._observer = observer
        self._gathered = GatheredReads(PULL_READS, self._fetch_surely)

    async def fetch_row(self, statement: Statement, **named: Value) -> Row | None:
        """Return the only row of a point read."""
        if not self._gathered.gathers(statement):
            rows = await self.fetch_rows(statement, **named)
            return rows[0] if rows else None
        if self._observer is not None:
            self._observer.statement(statement.name)
        arguments = self._statements[statement.name].arguments(named)
        try:
            return await self._gathered.fetch_row(statement, tuple(arguments))
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error

    async def fetch_rows(self, statement: Statement, **named: Value) -> list[Row]:
        """Return all rows of a listing."""
        if self._observer is not None:
            self._observer.statement(statement.name)
        rendered = self._statements[statement.name]
        try:
            return await self._fetch_surely(rendered.sql, rendered.arguments(named))
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error

    async def _fetch_surely(self, sql: str, arguments: Sequence[object]) -> list[Row]:
        try:
            return await self._fetch(sql, arguments)
        except DRIVER_ERRORS as error:
            if not is_connection_loss(error):
                raise
        await self._pool.expire_connections()
        return await self._fetch(sql, arguments)

    async def _fetch(self, sql: str, arguments: Sequence[object]) -> list[Row]:
        async with self._pool.held(self._timeout_seconds) as connection:
            return [tuple(record) for record in await connection.fetch(sql, *arguments)]


class PostgresSearches(PostgresReader):
    """Reads that may look at every row of a table, each planned for its own values."""

    async def _fetch(self, sql: str, arguments: Sequence[object]) -> list[Row]:
        async with (
            self._pool.held(self._timeout_seconds) as connection,
            connection.transaction(readonly=True),
        ):
            await connection.execute(PLAN_FOR_VALUES)
            return [tuple(record) for record in await connection.fetch(sql, *arguments)]


class PostgresMetadata(SqlReaders):
    """Implements :class:`entrepot.metadata.store.Metadata`."""

    def __init__(
        self,
        pool: PostgresPool,
        statement_timeout_seconds: float,
        observer: StatementObserver | None,
    ) -> None:
        statements = render_all(STATEMENTS, "postgresql")
        self._pool = pool
        self._units = PostgresUnits(pool, statements, statement_timeout_seconds, observer)
        super().__init__(
            PostgresReader(pool, statements, statement_timeout_seconds, observer),
            PostgresSearches(pool, statements, statement_timeout_seconds, observer),
        )

    @classmethod
    async def connect(
        cls, url: str, pool_size: int, statement_timeout_seconds: float, observer: StatementObserver | None
    ) -> PostgresMetadata:
        """Connect to a database whose schema is current.

        Raises:
            MetadataUnavailableError: it can't be reached.
        """
        milliseconds = str(int(statement_timeout_seconds * _MILLISECONDS))
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=pool_size,
                timeout=_CONNECT_SECONDS,
                command_timeout=statement_timeout_seconds + _SLACK_SECONDS,
                reset=_leave_session,
                server_settings={
                    "application_name": "entrepot",
                    "statement_timeout": milliseconds,
                    # A process that hangs within a unit must not keep its row locks for ever.
                    "idle_in_transaction_session_timeout": milliseconds,
                    # Compiling costs more than any statement of ours.
                    "jit": "off",
                    # Planning a list anew for each page takes longer than reading the page; the statements are written
                    # so that one plan suits every value, which a test looks at. Searches are planned for theirs.
                    "plan_cache_mode": "force_generic_plan",
                },
            )
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error
        return cls(PostgresPool(pool), statement_timeout_seconds, observer)

    async def write(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        """See the protocol."""
        return await run_guarded(self._units.run, unit)

    async def maintain(self) -> None:
        """Do nothing: the server has its own autovacuum and checkpointer."""

    async def write_ahead_log_bytes(self) -> int | None:
        """Return `None`: the log is the server's."""
        return None

    async def lost_file(self) -> str:
        """Return nothing: the files are the server's."""
        return ""

    async def aclose(self) -> None:
        """See the protocol."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._units.finish()
                await self._pool.aclose()
        except TimeoutError:
            self._pool.terminate()


async def _leave_session(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Do nothing when a connection returns to the pool: no statement of ours leaves anything behind in a session.

    asyncpg's own clean-up costs a round trip for each statement; an open transaction it still ends before this.
    """
    del connection
