"""Ends tasks that may turn their cancellation into an error of their own, and go on."""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["cancel_until_ended"]

_AGAIN_SECONDS: Final = 2.0


async def cancel_until_ended(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended, however it ends; nothing of its own is raised.

    A driver's clean-up may fail while the cancellation passes it, and what it raises takes the cancellation's place. A
    loop that lives through errors would then go on for good: so it is cancelled again every two seconds. For work only
    whose own clean-up may be broken off.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=_AGAIN_SECONDS)
    if not task.cancelled():
        task.exception()  # so that nobody is told that it was never looked at
