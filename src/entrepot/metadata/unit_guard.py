"""A condition that has to hold within the units of a request, whoever wrote them.

Services write units; whoever lets a request in knows by what it was let in. So that no service can forget to look, what
it writes is preceded by the look, in the same transaction.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from entrepot.metadata.store import Transaction

__all__ = ["UnitGuard", "guarded_units", "run_guarded"]

T = TypeVar("T")


class UnitGuard(Protocol):
    """What the units of one request must find as it was."""

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


async def run_guarded(write: UnitWriter, unit: Callable[[Transaction], Awaitable[T]]) -> T:
    """Have a unit written, within the present guard, if there is one."""
    guard = _present.get()
    if guard is None:
        return await write(unit)

    async def guarded(tx: Transaction) -> tuple[T, Callable[[], None]]:
        await guard.require(tx)
        return await unit(tx), await guard.look(tx)

    result, committed = await write(guarded)
    committed()
    return result
