"""Work that is done again and again: it lives through errors, and ends when it is told to."""

from __future__ import annotations

import asyncio

import structlog.testing

from entrepot.kernel.cancelling import cancel_until_ended
from entrepot.kernel.periodic import Periodic


async def test_an_error_that_nobody_expected_is_logged_and_the_work_goes_on_f47() -> None:
    """Else nobody would notice that nothing looks any more."""
    done = asyncio.Event()
    tries: list[int] = []

    async def work() -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            raise OSError(24, "Too many open files")
        done.set()

    periodic = Periodic("looks", 0.01, work)
    with structlog.testing.capture_logs() as told:
        periodic.start()
        async with asyncio.timeout(30):
            await done.wait()
        await periodic.cancel()

    assert [(line["event"], line["work"]) for line in told] == [("periodic.failed", "looks")]


async def test_work_that_turns_its_cancellation_into_an_error_ends_all_the_same_f18() -> None:
    """As a driver does whose clean-up fails while the cancellation passes it."""
    begun = asyncio.Event()
    swallowed: list[str] = []

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.append("once")
            if len(swallowed) == 1:
                raise TimeoutError from None
            raise

    periodic = Periodic("looks", 0.0, work)
    periodic.start()
    await begun.wait()
    async with asyncio.timeout(30):
        await periodic.cancel()

    assert swallowed[:1] == ["once"]
    assert len(asyncio.all_tasks()) == 1


async def test_a_task_that_failed_by_itself_is_no_error_of_who_ends_it() -> None:
    async def fail() -> None:
        raise LookupError

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await cancel_until_ended(task)

    assert isinstance(task.exception(), LookupError)
