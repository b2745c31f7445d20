"""Ends what a command pushes once database and storage no longer belong together, as a node then closes (F47)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from entrepot.kernel.cancelling import cancel_until_ended
from entrepot.kernel.errors import EntrepotError
from entrepot.ops.command_stores import refusal_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from entrepot.registry.store_match.watch import StoreWatch

__all__ = ["run_watched"]

T = TypeVar("T")

_LOOK_SECONDS: Final = 5.0
_BROKEN_OFF: Final = (
    "Broken off: what was pushed last may be lost, or may lie where nobody else looks for it."
)


async def run_watched(watch: StoreWatch, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`; looks every five seconds meanwhile, and asks the store when it has ended or failed.

    Raises:
        CommandError: they don't belong together any more; the work was cancelled if it was not over.
        MetadataError, BlobStoreError: whether they do could not be told at the end; or whatever the work raises.
    """
    task, looks = asyncio.create_task(work), asyncio.create_task(_look_until_found(watch))
    try:
        await asyncio.wait((task, looks), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            watch.suspect()
            # Why the work failed comes first, as long as it may not be for this reason.
            with contextlib.suppress(*(() if task.exception() is None else (EntrepotError,))):
                await watch.look()
        if watch.found is not None:
            raise refusal_of(watch.found, _BROKEN_OFF)
        return await task
    finally:
        task.cancel()
        await cancel_until_ended(looks)
        await asyncio.gather(task, return_exceptions=True)


async def _look_until_found(watch: StoreWatch) -> None:
    """Look again and again, until something does not fit; what can't be told now is told the next time."""
    while True:
        with contextlib.suppress(EntrepotError):
            if await watch.look() is not None:
                return
        await asyncio.sleep(_LOOK_SECONDS)
