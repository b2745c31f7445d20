"""Answers that come before the end of a request's body: when which part of them is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.distribution_api import unread_bodies
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.requests import Request
from entrepot.distribution_api.unread_bodies import end_after_body
from entrepot.registry.errors import SourceInterruptedError

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Message

_END = {"type": "http.response.body", "body": b"answer"}
_MORE = {"type": "http.request", "body": b"x", "more_body": True}
_LAST = {"type": "http.request", "body": b"x", "more_body": False}


class _Peer:
    """Holds what the client sends and what it was sent."""

    def __init__(self, *messages: Message) -> None:
        self.arriving: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.was_sent_something = asyncio.Event()
        for message in messages:
            self.arriving.put_nowait(message)

    async def take(self, message: Message) -> None:
        self.sent.append(message)
        self.was_sent_something.set()

    def bodies(self) -> list[tuple[bytes, bool]]:
        return [(message["body"], message.get("more_body", False)) for message in self.sent]


@pytest.mark.parametrize("messages", [[_LAST], [_MORE, _MORE, _LAST], [_MORE, {"type": "http.disconnect"}]])
async def test_a_body_that_has_arrived_is_read_off_first(messages: list[Message]) -> None:
    peer = _Peer(*messages)

    await end_after_body(peer.take, peer.arriving.get)(_END)

    assert peer.bodies() == [(b"answer", False)]
    assert peer.arriving.empty()


async def test_the_last_byte_waits_for_the_end_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_bodies, "_BRIEFLY_SECONDS", 0.001)
    peer = _Peer(_MORE)
    sending = asyncio.ensure_future(end_after_body(peer.take, peer.arriving.get)(_END))
    await peer.was_sent_something.wait()

    assert peer.bodies() == [(b"answe", True)]
    peer.arriving.put_nowait(_LAST)
    await sending
    assert peer.bodies() == [(b"answe", True), (b"r", False)]


async def test_a_client_that_never_ends_is_answered_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_bodies, "_BRIEFLY_SECONDS", 0.001)
    monkeypatch.setattr(unread_bodies, "_PATIENCE_SECONDS", 0.01)
    peer = _Peer(_MORE)

    await end_after_body(peer.take, peer.arriving.get)(_END)

    assert peer.bodies() == [(b"answe", True), (b"r", False)]


async def test_what_is_not_the_end_passes() -> None:
    peer = _Peer()
    begin: Message = {"type": "http.response.start", "status": 416, "headers": []}
    part: Message = {"type": "http.response.body", "body": b"a", "more_body": True}

    for message in (begin, part):
        await end_after_body(peer.take, peer.arriving.get)(message)

    assert peer.sent == [begin, part]


def _request(peer: _Peer, **headers: bytes) -> Request:
    fields = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return Request(
        {"method": "PATCH", "path": "/v2/", "headers": fields}, peer.arriving.get, PaceLimits(0, 30.0, 60.0)
    )


async def test_a_body_is_unread_until_its_end() -> None:
    """Announced by its length or by its coding; an empty one, or none, has nothing to read."""
    for headers, announced in (
        ({}, False),
        ({"content_length": b"0"}, False),
        ({"content_length": b"5"}, True),
        ({"transfer_encoding": b"chunked"}, True),
    ):
        request = _request(_Peer(_MORE, _LAST), **headers)
        assert request.has_unread_body() is announced
        chunks = request.body()
        await anext(chunks)
        assert request.has_unread_body() is announced
        assert [chunk async for chunk in chunks] == [b"x"]
        assert request.has_unread_body() is False


async def test_nobody_waits_for_the_body_of_a_client_that_left() -> None:
    request = _request(_Peer(_MORE, {"type": "http.disconnect"}), content_length=b"5")

    with pytest.raises(SourceInterruptedError):
        await request.read_body(10)

    assert request.has_unread_body() is False
