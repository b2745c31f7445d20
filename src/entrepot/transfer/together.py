"""Runs the parts of one image side by side, and ends as soon as one has failed without breaking the others off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from typing import Any

__all__ = ["run_together"]


async def run_together(
    parts: Sequence[Coroutine[Any, Any, None]],
    slots: asyncio.Semaphore,
    tolerable: tuple[type[Exception], ...],
) -> None:
    """Run all parts, each in one of `slots`, and raise what one of them raised.

    After a failure no further part is begun, but those under way come to their end: cancelling one while it cleans up
    would leave bytes behind for the sweep. What is not `tolerable` is raised before what is.
    """
    failed = asyncio.Event()

    async def run(part: Coroutine[Any, Any, None]) -> None:
        async with slots:
            if failed.is_set():
                part.close()
                return
            try:
                await part
            except BaseException:
                failed.set()
                raise

    outcomes = await asyncio.gather(*map(run, parts), return_exceptions=True)
    errors = [outcome for outcome in outcomes if outcome is not None]
    errors.sort(key=lambda error: isinstance(error, tolerable))
    if errors:
        raise errors[0]
