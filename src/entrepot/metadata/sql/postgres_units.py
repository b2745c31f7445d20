"""Units on PostgreSQL: repeated on conflicts and lost connections, never when they were committed after all."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.postgres_errors import (
    DRIVER_ERRORS,
    is_conflict,
    is_connection_loss,
    translate_error,
)
from entrepot.metadata.sql.postgres_executor import PostgresUnitExecutor
from entrepot.metadata.sql.transaction import SqlTransaction
from entrepot.metadata.sql.units import WatchedUnit, await_settled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from entrepot.metadata.sql.postgres_pool import PostgresPool
    from entrepot.metadata.sql.statements import RenderedStatement, StatementObserver
    from entrepot.metadata.store import Transaction

__all__ = ["PostgresUnits"]

T = TypeVar("T")

_ATTEMPTS: Final = 6
_FIRST_PAUSE_SECONDS: Final = 0.02
_OUTCOME_ATTEMPTS: Final = 40
_OUTCOME_PAUSE_SECONDS: Final = 0.1


class _AttemptFailedError(EntrepotError):
    """The database failed, not the unit; never leaves this module."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class _Run(Generic[T]):
    """What a unit returned that came to its COMMIT; `doubt` is what came in place of the reply."""

    result: T
    transaction_id: str | None
    doubt: BaseException | None


class PostgresUnits:
    """Runs units on a pool, each in a transaction of its own."""

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
        self._accepted = 0
        self._all_done = asyncio.Event()
        self._all_done.set()
        self._closing = False

    async def run(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run a unit; see :meth:`entrepot.metadata.store.Metadata.write`.

        A unit under way is seen through when the waiting task is cancelled; the cancellation is raised when the
        outcome is decided, so that cleaning up never races with the unit.
        """
        if self._closing:
            raise MetadataUnavailableError("PostgreSQL: the store is closing")
        self._accepted += 1
        self._all_done.clear()
        try:
            return await self._repeat(unit)
        finally:
            self._accepted -= 1
            if self._accepted == 0:
                self._all_done.set()

    async def finish(self) -> None:
        """Take no more units and wait for those that were accepted."""
        self._closing = True
        await self._all_done.wait()

    async def _repeat(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._attempt(unit)
            except _AttemptFailedError as failure:
                error = failure.error
            repeatable = is_conflict(error) or is_connection_loss(error)
            if attempt == _ATTEMPTS or not repeatable:
                raise translate_error(error) from error
            if is_connection_loss(error):
                await self._pool.expire_connections()
            await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _attempt(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        try:
            connection = await self._pool.acquire(self._timeout_seconds)
        except DRIVER_ERRORS as error:
            raise _AttemptFailedError(error) from error
        running = asyncio.ensure_future(self._run_and_release(connection, unit))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await await_settled(running)
            raise

    async def _run_and_release(
        self, connection: PoolConnectionProxy[asyncpg.Record], unit: Callable[[Transaction], Awaitable[T]]
    ) -> T:
        try:
            run = await self._run_on(connection, unit)
        finally:
            # A connection that can't be handed back any more was lost; the pool replaces it.
            with suppress(*DRIVER_ERRORS):
                await self._pool.release(connection, self._timeout_seconds)
        # Only now, with its place given up: units that all lost their connections would wait for one another.
        if run.doubt is not None and not await self._was_committed(run.transaction_id):
            raise _AttemptFailedError(run.doubt) from run.doubt
        reach(Failpoint.UNIT_AFTER_COMMIT)
        if self._observer is not None:
            self._observer.commit()
        return run.result

    async def _run_on(
        self, connection: PoolConnectionProxy[asyncpg.Record], unit: Callable[[Transaction], Awaitable[T]]
    ) -> _Run[T]:
        executor = PostgresUnitExecutor(connection, self._statements, self._observer)
        try:
            await executor.begin()
            result = await WatchedUnit(unit(SqlTransaction.over(executor)), lambda: executor.busy)
            transaction_id = await executor.transaction_id()
        except BaseException as error:
            with suppress(*DRIVER_ERRORS):
                await executor.roll_back()
            if error is executor.failure:
                raise _AttemptFailedError(error) from error
            raise
        reach(Failpoint.UNIT_BEFORE_COMMIT)
        try:
            await executor.commit()
        except DRIVER_ERRORS as error:
            if not (is_connection_loss(error) or isinstance(error, TimeoutError)):
                raise _AttemptFailedError(error) from error
            return _Run(result, transaction_id, error)
        return _Run(result, transaction_id, None)

    async def _was_committed(self, transaction_id: str | None) -> bool:
        """Ask the server what became of a transaction whose COMMIT got no reply (F15).

        Raises:
            MetadataUnavailableError: nobody can tell within a few seconds; the unit may or may not be durable.
        """
        if transaction_id is None:
            return False
        await self._pool.expire_connections()
        for _ in range(_OUTCOME_ATTEMPTS):
            await asyncio.sleep(_OUTCOME_PAUSE_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            with suppress(*DRIVER_ERRORS):
                async with self._pool.held(self._timeout_seconds) as connection:
                    status = await connection.fetchval(
                        "SELECT pg_xact_status($1::text::xid8)", transaction_id
                    )
                if status != "in progress":
                    return bool(status == "committed")
        raise MetadataUnavailableError("PostgreSQL was lost during a COMMIT and its outcome is not known yet")
