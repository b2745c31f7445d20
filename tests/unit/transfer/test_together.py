"""The parts of an image run side by side; one that fails ends the rest without breaking it off."""

from __future__ import annotations

import asyncio

import pytest

from entrepot.transfer.together import run_together


async def test_no_more_than_the_slots_run_at_once() -> None:
    """All parts run, two at a time."""
    running, most, done = 0, 0, 0

    async def part() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        done += 1

    await run_together([part() for _ in range(7)], asyncio.Semaphore(2), ())

    assert (most, done) == (2, 7)


async def test_after_a_failure_what_is_under_way_ends_and_nothing_begins() -> None:
    """The slow part finishes its work though another one failed beside it; the third is never begun."""
    done: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(0.001)
        raise KeyError("first")

    async def slow(name: str) -> None:
        await asyncio.sleep(0.01)
        done.append(name)

    with pytest.raises(KeyError, match="first"):
        await run_together([fail(), slow("second"), slow("third")], asyncio.Semaphore(2), (KeyError,))

    assert done == ["second"]


async def test_what_can_not_be_tolerated_is_raised_first() -> None:
    """A full disk is not hidden behind a damaged layer."""

    async def fail(error: Exception) -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(OSError, match="full"):
        await run_together(
            [fail(KeyError("damaged")), fail(OSError("full"))], asyncio.Semaphore(2), (KeyError,)
        )
