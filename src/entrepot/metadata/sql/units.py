"""How a unit is kept to its word: it awaits its transaction and nothing else, and once begun it is seen through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from entrepot.metadata.errors import UnitRejectedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["WatchedUnit", "await_settled", "run_without_suspension"]

T = TypeVar("T")

_NO_LOOP = "no running event loop"


def run_without_suspension(awaitable: Awaitable[T]) -> T:
    """Run a unit to its end on a thread that has no event loop.

    Its transaction never suspends there, so the first suspension is the proof that it awaited something else.

    Raises:
        UnitRejectedError: it did.
    """
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except RuntimeError as error:
        # What asyncio says when a timer, a lock or a socket is wanted where no loop runs.
        if str(error) == _NO_LOOP:
            raise UnitRejectedError(
                "a unit may await only its transaction, it wanted an event loop"
            ) from error
        raise
    close = getattr(steps, "close", None)
    if close is not None:
        close()
    raise UnitRejectedError("a unit may await only its transaction, it was suspended by something else")


async def await_settled(outcome: asyncio.Future[T]) -> None:
    """Wait until `outcome` is there, however often the waiting task is cancelled meanwhile."""
    while not outcome.done():
        try:
            await asyncio.wait((outcome,))
        except asyncio.CancelledError:
            continue
    if not outcome.cancelled():
        outcome.exception()


class WatchedUnit(Generic[T]):
    """Awaits a unit on an event loop and refuses any suspension that its transaction didn't ask for.

    `busy` tells whether a statement is under way at the moment.
    """

    def __init__(self, awaitable: Awaitable[T], busy: Callable[[], bool]) -> None:
        self._awaitable = awaitable
        self._busy = busy

    def __await__(self) -> Generator[Any, Any, T]:
        """Pass the steps of the unit on to the event loop.

        Raises:
            UnitRejectedError: the unit awaited something else than its transaction.
        """
        steps = self._awaitable.__await__()
        try:
            step = next(steps)
            while True:
                if not self._busy():
                    steps.close()
                    raise UnitRejectedError(
                        "a unit may await only its transaction, it was suspended by something else"
                    )
                try:
                    sent = yield step
                except BaseException as error:  # noqa: BLE001 - whatever the loop throws is for the unit to see
                    step = steps.throw(error)
                else:
                    step = steps.send(sent)
        except StopIteration as stop:
            result: T = stop.value
            return result
