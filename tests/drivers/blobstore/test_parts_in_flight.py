"""Several parts travel at once, in bounded memory, and are acknowledged in their order."""

from __future__ import annotations

import asyncio

import pytest

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.blobstore.s3.parts_in_flight import MOST_BYTES_IN_FLIGHT, PartsInFlight
from entrepot.blobstore.s3.upload_state import UploadedPart

_SIZE = MOST_BYTES_IN_FLIGHT // 3


class Store:
    """Acknowledges a part when the test says so."""

    def __init__(self) -> None:
        self.answers: dict[int, asyncio.Future[None]] = {}

    async def take(self, number: int) -> UploadedPart:
        """Take a part."""
        self.answers[number] = asyncio.get_running_loop().create_future()
        await self.answers[number]
        return UploadedPart(number, f"etag{number}", _SIZE)


async def test_three_usual_parts_travel_and_the_fourth_waits_for_the_first() -> None:
    store, flight = Store(), PartsInFlight()
    parts: list[UploadedPart] = []
    for number in (1, 2, 3):
        await flight.make_room(_SIZE, parts)
        flight.start(_SIZE, store.take(number))
    await asyncio.sleep(0)
    assert sorted(store.answers) == [1, 2, 3]
    waiting = asyncio.create_task(flight.make_room(_SIZE, parts))
    store.answers[3].set_result(None)
    store.answers[2].set_result(None)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    store.answers[1].set_result(None)
    await waiting
    assert [part.number for part in parts] == [1]
    assert len(flight) == 2
    await flight.finish(parts)
    assert [part.number for part in parts] == [1, 2, 3]


async def test_a_part_larger_than_the_bound_goes_alone() -> None:
    store, flight = Store(), PartsInFlight()
    parts: list[UploadedPart] = []
    await flight.make_room(10 * MOST_BYTES_IN_FLIGHT, parts)
    flight.start(10 * MOST_BYTES_IN_FLIGHT, store.take(1))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(flight.make_room(1, parts))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    store.answers[1].set_result(None)
    await waiting
    assert len(flight) == 0


async def test_nobody_goes_on_without_a_part_that_failed() -> None:
    """Later parts that arrived don't count: a part missing in the middle would be a hole in the blob."""
    store, flight = Store(), PartsInFlight()
    parts: list[UploadedPart] = []
    flight.start(_SIZE, store.take(1))
    flight.start(_SIZE, store.take(2))
    await asyncio.sleep(0)
    store.answers[1].set_exception(StorageUnavailableError("refused"))
    store.answers[2].set_result(None)
    for _ in range(2):
        with pytest.raises(StorageUnavailableError):
            await flight.finish(parts)
    assert parts == []
    await flight.cancel()
    assert len(flight) == 0


async def test_cancelling_stops_every_part() -> None:
    store, flight = Store(), PartsInFlight()
    flight.start(_SIZE, store.take(1))
    flight.start(_SIZE, store.take(2))
    await asyncio.sleep(0)
    await flight.cancel()
    assert [answer.cancelled() for answer in store.answers.values()] == [True, True]
