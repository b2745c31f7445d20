"""Bodies are read within what all of them may take together."""

from __future__ import annotations

import asyncio
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
