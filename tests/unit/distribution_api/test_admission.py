"""How much one address, and all together, may have under way (I12, F41)."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from entrepot.distribution_api.admission import Admission, AdmissionLimits
from entrepot.distribution_api.errors import OverloadedError
from entrepot.kernel.address_budget import AddressBudget


def _admission(bodies: int = 2, per_address: int = 2, waiting: int = 8, seconds: float = 5.0) -> Admission:
    return Admission(AdmissionLimits(bodies, per_address, waiting, seconds), AddressBudget(0))


class _Reader:
    """A request that reads its body until it is told to end."""

    def __init__(self, admission: Admission, address: str) -> None:
        self.began = asyncio.Event()
        self._end = asyncio.Event()
        self._task = asyncio.create_task(self._read(admission, address))

    async def settled(self) -> bool:
        """Whether it has its place, once everything that can happen has happened."""
        for _ in range(5):
            await asyncio.sleep(0)
        return self.began.is_set()

    async def end(self) -> None:
        self._end.set()
        await self._task

    async def cancel(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _read(self, admission: Admission, address: str) -> None:
        async with admission.reading_body(address):
            self.began.set()
            await self._end.wait()


async def test_bodies_beyond_the_limit_wait_for_a_place() -> None:
    admission = _admission(bodies=2)
    first, second, third = (_Reader(admission, name) for name in "abc")
    assert [await one.settled() for one in (first, second, third)] == [True, True, False]
    await first.end()
    assert await third.settled()
    await second.end()
    await third.end()


async def test_a_greedy_address_waits_while_others_get_their_places() -> None:
    admission = _admission(bodies=4, per_address=2)
    greedy = [_Reader(admission, "greedy") for _ in range(4)]
    modest = _Reader(admission, "modest")
    assert [await one.settled() for one in greedy] == [True, True, False, False]
    assert await modest.settled()
    for one in (*greedy, modest):
        await one.end()
    assert admission._places_by_address == {}


async def test_the_addresses_of_one_subscriber_in_ipv6_share_their_places_f41_i12() -> None:
    admission = _admission(bodies=4, per_address=2)
    greedy = [_Reader(admission, f"2001:db8:0:7::{number}") for number in range(1, 5)]
    other = _Reader(admission, "2001:db8:0:8::1")
    assert [await one.settled() for one in (*greedy, other)] == [True, True, False, False, True]
    for one in (*greedy, other):
        await one.cancel()


async def test_without_a_limit_of_its_own_an_address_may_have_every_place() -> None:
    admission = _admission(bodies=3, per_address=0)
    readers = [_Reader(admission, "proxy") for _ in range(4)]
    assert [await one.settled() for one in readers] == [True, True, True, False]
    for one in readers:
        await one.end()


async def test_more_than_may_wait_are_refused_at_once() -> None:
    admission = _admission(bodies=1, waiting=1)
    reading, waiting = _Reader(admission, "a"), _Reader(admission, "b")
    assert await reading.settled()
    assert not await waiting.settled()
    with pytest.raises(OverloadedError):
        async with admission.reading_body("c"):
            pytest.fail("there was no place")
    await reading.end()
    await waiting.end()


async def test_waiting_ends_with_a_refusal() -> None:
    admission = _admission(bodies=1, seconds=0.01)
    reading = _Reader(admission, "a")
    assert await reading.settled()
    with pytest.raises(OverloadedError):
        async with admission.reading_body("b"):
            pytest.fail("there was no place")
    await reading.end()


async def test_clients_that_go_away_while_they_wait_or_read_leave_no_place_taken() -> None:
    admission = _admission(bodies=1, per_address=1)
    reading, waiting, same = (_Reader(admission, name) for name in ("a", "b", "a"))
    assert await reading.settled()
    assert not await waiting.settled()
    await waiting.cancel()
    await same.cancel()
    await reading.cancel()
    after = _Reader(admission, "a")
    assert await after.settled()
    await after.end()
    assert (admission._waiting, admission._places_by_address) == (0, {})
