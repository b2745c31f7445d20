"""Reading keeps to the rate it was given, and does not make up for pauses."""

from __future__ import annotations

import asyncio

from entrepot.kernel.pace import Pace


async def _seconds_for(pace: Pace, *counts: int) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    for count in counts:
        await pace.take(count)
    return loop.time() - started


async def test_bytes_beyond_the_rate_wait() -> None:
    """A second's worth may have been saved; what goes beyond takes its time, however many ask."""
    pace = Pace(1000)

    assert await _seconds_for(pace, 1000) < 0.1
    assert 0.15 < await _seconds_for(pace, 100, 100) < 1.0


async def test_several_tasks_share_one_rate() -> None:
    """Two readers are as fast as one."""
    pace = Pace(1000)
    await pace.take(1000)

    seconds = await asyncio.gather(*(_seconds_for(pace, 100) for _ in range(3)))

    assert 0.25 < max(seconds) < 1.5


async def test_without_a_rate_nobody_waits() -> None:
    """0 is without limit."""
    assert await _seconds_for(Pace(0), 1 << 60) < 0.1
