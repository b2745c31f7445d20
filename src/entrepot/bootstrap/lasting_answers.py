"""Keeps the good answer to a question that is too dear for each probe, for as long as it may have become wrong."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.bootstrap.stores import Stores

__all__ = ["LASTS_SECONDS", "LastingAnswer"]

LASTS_SECONDS: Final = 60.0
"""Volumes are unmounted and databases restored under running nodes: balancers shall know a minute later."""


class LastingAnswer:
    """Asks what is wrong with a pair of stores; that it was nothing is good for a minute, anything else for no moment.

    One question at a time.
    """

    def __init__(
        self, ask: Callable[[Stores], Awaitable[str]], clock: Callable[[], float] = monotonic
    ) -> None:
        """Take the question, whose answer is empty when all is well, and a clock in seconds that is never put back."""
        self._ask = ask
        self._clock = clock
        self._good_until: float | None = None

    async def find(self, stores: Stores) -> str:
        """Return what is wrong, an empty text when it is nothing, or was nothing less than a minute ago.

        Raises:
            EntrepotError: the question can't be answered.
        """
        if self._good_until is not None and self._clock() < self._good_until:
            return ""
        self.forget()
        began = self._clock()
        found = await self._ask(stores)
        if not found:
            self._good_until = began + LASTS_SECONDS
        return found

    def forget(self) -> None:
        """Ask again next time: who comes back after a failure may be another one."""
        self._good_until = None
