"""Lets those who want the same at the same time share one attempt at it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["SingleFlight"]

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs one piece of work per key at a time. Nothing outlives its work. Belongs to one event loop."""

    def __init__(self) -> None:
        self._flights: dict[bytes, asyncio.Task[T]] = {}

    async def run(self, key: bytes, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the work that is under way for the key, or of `work`; failures are shared as well.

        Whoever is cancelled leaves the others their result.
        """
        task = self._flights.get(key)
        if task is None:
            task = asyncio.create_task(work(), name="single-flight")
            self._flights[key] = task
            task.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Wait for what is under way. May be called again."""
        if self._flights:
            await asyncio.wait(tuple(self._flights.values()))

    def _land(self, key: bytes, task: asyncio.Task[T]) -> None:
        del self._flights[key]
        if not task.cancelled():
            # Everybody who waited may have gone; their absence is no fault to be logged.
            task.exception()
