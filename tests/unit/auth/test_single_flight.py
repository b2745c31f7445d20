"""Those who want the same at once share one attempt."""

from __future__ import annotations

import asyncio

import pytest

from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.single_flight import SingleFlight


class _Work:
    """Counts how often it is begun, and ends when told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.end = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        await self.end.wait()
        return self.begun

    async def failing(self) -> int:
        self.begun += 1
        await self.end.wait()
        raise InvalidCredentialsError("wrong")


async def test_fifty_at_once_share_one_and_the_next_begins_anew() -> None:
    flights: SingleFlight[int] = SingleFlight()
    work = _Work()
    waiting = [asyncio.create_task(flights.run(b"k", work)) for _ in range(50)]
    await asyncio.sleep(0)
    work.end.set()

    assert await asyncio.gather(*waiting) == [1] * 50
    assert await flights.run(b"k", work) == 2
    assert flights._flights == {}


async def test_different_keys_share_nothing() -> None:
    flights: SingleFlight[int] = SingleFlight()
    work = _Work()
    work.end.set()
    await asyncio.gather(flights.run(b"a", work), flights.run(b"b", work))

    assert work.begun == 2


async def test_a_failure_is_shared_and_not_kept() -> None:
    flights: SingleFlight[int] = SingleFlight()
    work = _Work()
    waiting = [asyncio.create_task(flights.run(b"k", work.failing)) for _ in range(3)]
    await asyncio.sleep(0)
    work.end.set()

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [InvalidCredentialsError] * 3
    assert work.begun == 1
    with pytest.raises(InvalidCredentialsError):
        await flights.run(b"k", work.failing)
    assert work.begun == 2


async def test_who_goes_away_leaves_the_others_their_result() -> None:
    """Also the one who came first."""
    flights: SingleFlight[int] = SingleFlight()
    work = _Work()
    first = asyncio.create_task(flights.run(b"k", work))
    second = asyncio.create_task(flights.run(b"k", work))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    work.end.set()

    assert await second == 1
    assert first.cancelled()


async def test_closing_waits_for_what_is_under_way() -> None:
    flights: SingleFlight[int] = SingleFlight()
    work = _Work()
    gone = asyncio.create_task(flights.run(b"k", work.failing))
    await asyncio.sleep(0)
    gone.cancel()
    work.end.set()

    await flights.aclose()
    await flights.aclose()

    assert flights._flights == {}
