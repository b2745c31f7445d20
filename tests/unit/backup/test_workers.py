"""Many things are worked on at once, within a bound, at a rate; and an error ends all of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.backup.workers import work_on_all
from entrepot.kernel.pace import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def numbers(count: int) -> AsyncIterator[int]:
    """Count."""
    for number in range(count):
        yield number


async def test_everything_is_worked_on_within_the_bound() -> None:
    done: list[int] = []
    under_way = most = 0

    async def work(number: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done.append(number)

    await work_on_all(numbers(20), work, 3)

    assert sorted(done) == list(range(20))
    assert most == 3


async def test_the_first_error_ends_the_work() -> None:
    """It is raised as it is, the rest is not begun, and no task stays behind."""
    begun: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)
        if number == 2:
            raise LookupError(number)

    with pytest.raises(LookupError):
        await work_on_all(numbers(1000), work, 2)

    assert len(begun) < 20
    assert len(asyncio.all_tasks()) == 1


async def test_bytes_pass_at_the_rate() -> None:
    """What all tasks send together takes as long as the rate says."""
    loop = asyncio.get_running_loop()
    pace = Pace(1000)
    await pace.take(1000)  # what was saved before
    began = loop.time()

    await asyncio.gather(*(pace.take(20) for _ in range(5)))

    assert loop.time() - began >= 0.079
    async with asyncio.timeout(30):
        await Pace(None).take(10**9)
