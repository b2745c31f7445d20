"""Work that is done again and again beside requests, and, where that is wanted, once more at the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.kernel.cancelling import cancel_until_ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Periodic"]

_log: Any = structlog.get_logger()


class Periodic:
    """Does one thing every period. Belongs to one event loop.

    Errors are the work's own to deal with: one that it did not expect is logged, and the work done again all the same.
    """

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
        """Stop, be it in the middle of the work, whatever becomes of its cancellation there. May be called again."""
        task, self._task = self._task, None
        if task is not None:
            await cancel_until_ended(task)

    async def aclose(self) -> None:
        """Stop, and do it a last time. May be called again."""
        await self.cancel()
        await self._work()

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(self._period_seconds)
            try:
                await self._work()
            except Exception:  # noqa: BLE001  # nobody would notice its end: the log must tell, and the next try come
                _log.exception("periodic.failed", work=self._name, next_try_seconds=self._period_seconds)
