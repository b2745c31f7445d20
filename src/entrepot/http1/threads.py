"""Work on threads for a connection, whose descriptors may not be closed while a thread uses their numbers."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["WorkThreads", "ended", "to_its_end"]

_T = TypeVar("_T")


class WorkThreads(ThreadPoolExecutor):
    """Work that was taken is done, also when no thread can be started for it (F10).

    The standard library's raises then, and leaves the work in its queue: whichever thread is free next would do it with
    descriptors that have been closed by then, and whose numbers may be another client's.
    """

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except (RuntimeError, MemoryError):
            if not self._threads:  # so nobody has taken it
                self._work_queue.get_nowait()
                raise


async def to_its_end(work: asyncio.Future[_T]) -> _T:
    """Wait for a thread, also when cancelled: descriptors may not be closed while it uses their numbers."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await ended(work)
        raise


async def ended(work: asyncio.Future[_T]) -> None:
    """Wait until a thread has ended, whatever comes of it, and however often that is cancelled."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({work})
    if not work.cancelled():
        work.exception()  # else the event loop complains that nobody wanted to know
