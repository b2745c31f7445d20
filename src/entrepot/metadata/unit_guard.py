"""What a request was decided by has to hold within the units that it writes, whoever wrote them.

Services write units; whoever lets a request in, and whoever judges what it may do, knows what that was decided by. So
that no service can forget to look, its units begin with the look, in the same transaction.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator
    from contextlib import AbstractAsyncContextManager

    from entrepot.metadata.store import Transaction

    Look: TypeAlias = Callable[[Transaction], Awaitable[object]]
    """Reads again, within a unit, what something was decided by."""

__all__ = ["UnitGuard", "guarded_units", "in_order", "run_guarded", "watch"]

T = TypeVar("T")


class UnitGuard(Protocol):
    """What the units of one request must find as it was."""

    def watch(self, key: Hashable, look: Look, found: object) -> None:
        """Have units look at one thing more; of two that are `found` under one key, the first was decided by."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return what a unit is written within: it waits here, without a connection, for those of the same process."""
        ...

    async def require(self, tx: Transaction) -> None:
        """Look; what this raises, the unit raises."""
        ...

    async def look(self, tx: Transaction) -> Callable[[], None]:
        """Look again when the unit is done: what it changed itself is no reason to refuse the next one.

        Returns what is to be called when the unit is committed.
        """
        ...


class UnitWriter(Protocol):
    """What runs units, as :meth:`entrepot.metadata.store.Metadata.write` says."""

    async def __call__(self, unit: Callable[[Transaction], Awaitable[T]], /) -> T:
        """Run a unit."""
        ...


_present: Final[ContextVar[UnitGuard | None]] = ContextVar("unit_guard", default=None)


@contextmanager
def guarded_units(guard: UnitGuard) -> Iterator[None]:
    """Have each unit that is written within begin with a look."""
    token = _present.set(guard)
    try:
        yield
    finally:
        _present.reset(token)


def watch(key: Hashable, look: Look, found: object) -> None:
    """Have the units that are written from here on find again what was just decided by; nothing without a guard."""
    guard = _present.get()
    if guard is not None:
        guard.watch(key, look, found)


async def run_guarded(write: UnitWriter, unit: Callable[[Transaction], Awaitable[T]]) -> T:
    """Have a unit written, within the present guard, if there is one."""
    guard = _present.get()
    if guard is None:
        return await write(unit)

    async def guarded(tx: Transaction) -> tuple[T, Callable[[], None]]:
        await guard.require(tx)
        return await unit(tx), await guard.look(tx)

    async with guard.turn():
        result, committed = await write(guarded)
    committed()
    return result


@contextmanager
def in_order() -> Iterator[None]:
    """Have units come one after the other with those of requests, for who may do everything and nothing is watched.

    What changes rights for nobody's request, as commands on the host do, would else come between the look of a unit and
    its end.
    """
    with guarded_units(_InOrder()):
        yield


class _InOrder:
    """Implements :class:`UnitGuard`: the order, and nothing else."""

    def watch(self, key: Hashable, look: Look, found: object) -> None:
        """See the protocol."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """See the protocol. Who writes so has no process in which many do."""
        return nullcontext()

    async def require(self, tx: Transaction) -> None:
        """See the protocol."""
        await tx.epochs.hold_order()

    async def look(self, tx: Transaction) -> Callable[[], None]:  # noqa: ARG002  # nothing was decided by anything
        """See the protocol."""
        return _nothing


def _nothing() -> None:
    """Have nothing to keep when a unit is committed."""
