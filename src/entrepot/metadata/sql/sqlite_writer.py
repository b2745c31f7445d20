"""Writes to a SQLite file: one thread per process runs units in groups, each group one COMMIT and one fsync."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.errors import MetadataError, MetadataUnavailableError, UnitRejectedError
from entrepot.metadata.sql.sqlite_connection import connect_for_writing, is_busy, translate_error
from entrepot.metadata.sql.sqlite_executor import SqliteUnitExecutor
from entrepot.metadata.sql.sqlite_turnstile import Turnstile
from entrepot.metadata.sql.transaction import SqlTransaction
from entrepot.metadata.sql.units import await_settled, run_without_suspension

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextvars import Context
    from pathlib import Path

    from entrepot.metadata.sql.statements import StatementObserver
    from entrepot.metadata.store import Transaction

__all__ = ["SqliteWriter"]

T = TypeVar("T")

_BUSY_TIMEOUT_SECONDS: Final = 5.0
_BEGIN_ATTEMPTS: Final = 3
_PATIENCE_SECONDS: Final = 30.0
"""How long a unit waits for its beginning before it is given back; a client has given up by then, too."""
_MAX_UNITS: Final = 128
_MAX_GROUP_SECONDS: Final = 0.020
"""A group stops taking units after this time, so that the first of them isn't kept from its reply by the others."""


@dataclass(slots=True, eq=False)
class _AcceptedUnit:
    """A unit on its way through the queue. Whoever claims it first, the thread or the waiting task, decides on it."""

    unit: Callable[[Transaction], Awaitable[Any]]
    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[Any]
    context: Context
    claimed: threading.Lock = field(default_factory=threading.Lock)
    result: Any = None
    error: BaseException | None = None

    def claim(self) -> bool:
        return self.claimed.acquire(blocking=False)

    def settle(self) -> None:
        """Hand the outcome to the waiting task; runs on its loop."""
        if self.outcome.done():
            return
        if self.error is None:
            self.outcome.set_result(self.result)
        else:
            self.outcome.set_exception(self.error)


class SqliteWriter:
    """Takes units from any task and answers each when the group it was part of is durable."""

    def __init__(
        self, path: Path, observer: StatementObserver | None, require_files: Callable[[], None] = lambda: None
    ) -> None:
        """Open the file; `require_files` is called in each transaction, and what it raises refuses all units of it."""
        self._path = path
        self._require_files = require_files
        self._observer = observer
        self._turnstile = Turnstile(path)
        try:
            self._connection = connect_for_writing(path, _BUSY_TIMEOUT_SECONDS)
        except BaseException:
            self._turnstile.close()
            raise
        self._transaction = SqlTransaction.over(
            SqliteUnitExecutor(self._connection, path, observer, self._others_wait)
        )
        self._queue: SimpleQueue[_AcceptedUnit | None] = SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="metadata-writer", daemon=True)
        self._thread.start()

    async def submit(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run a unit; see :meth:`entrepot.metadata.store.Metadata.write`.

        A task that is cancelled before its unit began takes it back. Afterwards the unit is seen through, and the
        cancellation is raised when the outcome is decided, so that cleaning up never races with the unit.
        """
        if self._closing:
            raise MetadataUnavailableError(f"{self._path}: the store is closing")
        loop = asyncio.get_running_loop()
        accepted = _AcceptedUnit(unit, loop, loop.create_future(), copy_context())
        self._queue.put(accepted)
        try:
            await asyncio.wait((accepted.outcome,), timeout=_PATIENCE_SECONDS)
            if not accepted.outcome.done() and accepted.claim():
                raise MetadataUnavailableError(
                    f"{self._path}: no write could begin within {_PATIENCE_SECONDS:g} s"
                )
            result: T = await asyncio.shield(accepted.outcome)
        except asyncio.CancelledError:
            if not accepted.claim():
                await await_settled(accepted.outcome)
            raise
        return result

    def stop(self) -> Sequence[sqlite3.Connection]:
        """Run all units accepted so far, release thread and locks, and return what is the caller's to close. Blocks."""
        self._closing = True
        self._queue.put(None)
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive():
            return ()  # it waits for another process's lock, keeps what it uses, and dies with this process
        self._turnstile.close()
        return (self._connection,)

    def _others_wait(self) -> bool:
        return not self._queue.empty() or self._turnstile.is_wanted()

    def _serve(self) -> None:
        closing = False
        while not closing and (first := self._queue.get()) is not None:
            group: list[_AcceptedUnit] = []
            try:
                with self._turnstile.turn():
                    closing = self._run_group(first, group)
            except Exception as error:  # noqa: BLE001 - supervises the thread that all later writes depend on
                if first.claim():
                    group.append(first)
                self._abandon(group, error)
            _publish(group)

    def _run_group(self, first: _AcceptedUnit, group: list[_AcceptedUnit]) -> bool:
        """Run `first` and what else is waiting as one transaction, adding each unit that began to `group`.

        Returns:
            Whether the end of the queue was found.
        """
        self._begin()
        self._require_files()
        started = perf_counter()
        following: _AcceptedUnit | None = first
        while following is not None:
            if following.claim():
                group.append(following)
                self._run_unit(following)
            if len(group) == _MAX_UNITS or perf_counter() - started > _MAX_GROUP_SECONDS:
                self._commit()
                return False
            try:
                following = self._queue.get_nowait()
            except Empty:
                self._commit()
                return False
        self._commit()
        return True

    def _begin(self) -> None:
        for attempt in range(1, _BEGIN_ATTEMPTS + 1):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if attempt == _BEGIN_ATTEMPTS or not is_busy(error):
                    raise
            else:
                return

    def _run_unit(self, accepted: _AcceptedUnit) -> None:
        """Run one unit between savepoints: what it raises undoes its own changes only.

        Raises:
            MetadataUnavailableError: SQLite gave up the whole transaction, and with it the group.
        """
        self._connection.execute("SAVEPOINT unit")
        try:
            accepted.result = accepted.context.run(_step, accepted.unit, self._transaction)
        except asyncio.CancelledError as error:
            accepted.error = UnitRejectedError("a unit may not cancel itself")
            accepted.error.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - whatever a unit raises is for its caller
            accepted.error = error
        if accepted.error is not None:
            if not self._connection.in_transaction:
                unavailable = isinstance(accepted.error, MetadataUnavailableError)
                kind = type(accepted.error) if unavailable else MetadataUnavailableError
                raise kind(f"{self._path}: a group of writes was rolled back: {accepted.error}")
            self._connection.execute("ROLLBACK TO unit")
        self._connection.execute("RELEASE unit")

    def _commit(self) -> None:
        reach(Failpoint.UNIT_BEFORE_COMMIT)
        self._connection.execute("COMMIT")
        reach(Failpoint.UNIT_AFTER_COMMIT)
        if self._observer is not None:
            self._observer.commit()

    def _abandon(self, group: list[_AcceptedUnit], error: Exception) -> None:
        """Fail every unit of a group whose transaction can't be kept."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        failure = self._describe(error)
        failure.__cause__ = error
        for accepted in group:
            if accepted.error is None:
                accepted.error = failure

    def _describe(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.Error):
            return translate_error(error, self._path)
        if isinstance(error, OSError):
            return MetadataUnavailableError(f"{self._path}: its lock can't be taken: {error.strerror}")
        return (
            error
            if isinstance(error, MetadataError)
            else MetadataError(f"a group of writes failed: {error!r}")
        )


def _step(unit: Callable[[Transaction], Awaitable[T]], transaction: Transaction) -> T:
    return run_without_suspension(unit(transaction))


def _publish(group: list[_AcceptedUnit]) -> None:
    """Wake the waiting tasks, with one call per event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_AcceptedUnit]] = {}
    for accepted in group:
        by_loop.setdefault(accepted.loop, []).append(accepted)
    for loop, units in by_loop.items():
        # A loop that was closed meanwhile has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_all, units)


def _settle_all(units: list[_AcceptedUnit]) -> None:
    for accepted in units:
        accepted.settle()
