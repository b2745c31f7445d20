"""Bodies are read within what all of them may take together."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from entrepot.control_api.errors import (
    InputBudgetSpentError,
    InputInterruptedError,
    InputTooLargeError,
    InputTooSlowError,
)
from entrepot.control_api.request_bodies import MAX_BODY_BYTES, BodyBudget, replayed

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Message, Receive


def _sending(*chunks: bytes) -> Receive:
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}
        for place, chunk in enumerate(chunks)
    ]

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    return receive


async def test_a_body_in_pieces_is_put_together() -> None:
    async with BodyBudget().reading(_sending(b"a", b"", b"bc")) as body:
        assert body == b"abc"


async def test_a_place_in_the_budget_is_given_back() -> None:
    budget = BodyBudget(total_bytes=10)
    for _ in range(3):
        async with budget.reading(_sending(b"x" * 10)) as body:
            assert len(body) == 10


async def test_others_may_have_taken_all_there_is_f41() -> None:
    budget = BodyBudget(total_bytes=10)
    async with budget.reading(_sending(b"x" * 8)):
        with pytest.raises(InputBudgetSpentError):
            async with budget.reading(_sending(b"x" * 8)):
                pass
        async with budget.reading(_sending(b"x" * 2)) as body:
            assert body == b"xx"


def _never_ending(size: int) -> Receive:
    """A client that sends so much and then goes on holding its body open."""
    waiting: list[Message] = [{"type": "http.request", "body": b"x" * size, "more_body": True}]

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop()

    return receive


async def _read(budget: BodyBudget, receive: Receive, address: str) -> int:
    async with budget.reading(receive, address) as body:
        return len(body)


@pytest.mark.parametrize("addresses", [["192.0.2.1"], [f"192.0.2.{number}" for number in range(40)]])
@pytest.mark.parametrize("honest", ["192.0.2.1", "198.51.100.7"])
async def test_bodies_that_never_end_keep_no_small_one_out_f41_i12(addresses: list[str], honest: str) -> None:
    """Whoever sends them, from one address or from many, also from that of whom they would keep out."""
    budget = BodyBudget()
    stuck = [
        asyncio.create_task(_read(budget, _never_ending(MAX_BODY_BYTES), addresses[number % len(addresses)]))
        for number in range(40)
    ]
    await asyncio.sleep(0.01)

    for _ in range(3):
        assert await _read(budget, _sending(b"x" * 16_000), honest) == 16_000

    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)


async def test_the_longest_body_of_who_holds_most_gives_way_f41() -> None:
    budget = BodyBudget(total_bytes=100)
    stuck = [
        asyncio.create_task(_read(budget, _never_ending(size), address))
        for size, address in ((40, "2001:db8::1"), (20, "2001:db8::2"), (40, "192.0.2.1"))
    ]
    await asyncio.sleep(0.01)

    assert await _read(budget, _sending(b"x" * 30), "198.51.100.7") == 30
    with pytest.raises(InputBudgetSpentError):
        await _read(budget, _sending(b"x" * 50), "198.51.100.7")

    assert not any(task.done() for task in stuck)  # they are heard to their end, and kept no more
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    assert await _read(budget, _sending(b"x" * 100), "198.51.100.7") == 100


async def test_large_bodies_leave_room_for_small_ones_f41() -> None:
    """Also those that were read whole, while a password waits to be checked."""
    budget = BodyBudget()
    async with contextlib.AsyncExitStack() as stack:
        for number in range(24):
            receive = _sending(b"x" * MAX_BODY_BYTES)
            await stack.enter_async_context(budget.reading(receive, f"192.0.2.{number}"))
        with pytest.raises(InputBudgetSpentError):
            await _read(budget, _sending(b"x" * MAX_BODY_BYTES), "198.51.100.7")
        assert await _read(budget, _sending(b"x" * 16_000), "198.51.100.7") == 16_000


async def test_no_more_is_kept_than_an_endpoint_takes_s36() -> None:
    """The client is heard to its end, so that it sees the answer, and the place is given back."""
    budget = BodyBudget(total_bytes=MAX_BODY_BYTES)
    receive = _sending(b"x" * MAX_BODY_BYTES, b"x", b"y")

    with pytest.raises(InputTooLargeError):
        async with budget.reading(receive):
            pass

    assert (await receive())["type"] == "http.disconnect"
    async with budget.reading(_sending(b"x" * MAX_BODY_BYTES)) as body:
        assert len(body) == MAX_BODY_BYTES


async def test_who_goes_away_is_not_waited_for() -> None:
    with pytest.raises(InputInterruptedError):
        async with BodyBudget().reading(_sending()):
            pass


async def test_a_slow_body_is_given_up_f41() -> None:
    async def receive() -> Message:
        await asyncio.sleep(10)
        raise AssertionError

    with pytest.raises(InputTooSlowError):
        async with BodyBudget(patience_seconds=0.01).reading(receive):
            pass


async def test_a_body_that_was_read_is_handed_out_once() -> None:
    receive = replayed(b"abc", _sending())

    assert await receive() == {"type": "http.request", "body": b"abc", "more_body": False}
    assert await receive() == {"type": "http.disconnect"}
