"""Runs the same work on many things at once, without taking more of them into memory than are worked on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["work_on_all"]

T = TypeVar("T")


async def work_on_all(items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], parallel: int) -> None:
    """Await `work` for every item, up to `parallel` at a time.

    The first error ends all of it, is raised as it is, and leaves no task behind.
    """
    queue: asyncio.Queue[T | None] = asyncio.Queue(parallel)

    async def produce() -> None:
        async for item in items:
            await queue.put(item)
        for _ in range(parallel):
            await queue.put(None)

    async def consume() -> None:
        while (item := await queue.get()) is not None:
            await work(item)

    tasks = [asyncio.create_task(produce()), *(asyncio.create_task(consume()) for _ in range(parallel))]
    try:
        await _finish_or_fail(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _finish_or_fail(tasks: list[asyncio.Task[None]]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()
