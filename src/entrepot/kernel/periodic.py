"""Work that is done again and again beside requests, and, where that is wanted, once more at the end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Periodic"]


class Periodic:
    """Does one thing every period. Belongs to one event loop; errors are the work's own to deal with."""

    def __init__(self, name: str, period_seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._period_seconds = period_seconds
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first time is after a period."""
        if self._task is None:
            self._task = asyncio.create_task(self._repeat(), name=self._name)

    async def cancel(self) -> None:
        """Stop, be it in the middle of the work. May be called again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def aclose(self) -> None:
        """Stop, and do it a last time. May be called again."""
        await self.cancel()
        await self._work()

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(self._period_seconds)
            await self._work()
