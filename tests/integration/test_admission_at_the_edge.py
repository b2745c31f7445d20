"""What the edge takes on at once: who is refused, with which answer, and who need not wait (I12, F41)."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.oci.digest import Digest
from tests.asgi.services import in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from prometheus_client import Counter

    from entrepot.kernel.asgi import Message
    from tests.asgi.client import AsgiClient
    from tests.asgi.services import InProcessRegistry

_UPLOADS = "/v2/team/app/blobs/uploads/"


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node that reads two bodies at a time, lets one wait, briefly, and takes three requests of one address."""
    settings = scratch_settings(
        tmp_path / "data",
        limits__bodies="2",
        limits__bodies_per_address="2",
        limits__waiting_bodies="1",
        limits__wait_seconds="0.1",
        limits__requests_per_address="3",
    )
    async with in_process_registry(settings) as registry:
        yield registry


def _patch(session: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "PATCH",
        "path": session,
        "http_version": "1.1",
        "headers": [(b"host", b"127.0.0.1:5000"), (b"content-length", b"9")],
        "client": ("127.0.0.1", 40001),
        "extensions": {},
    }


class _StalledUpload:
    """A PATCH whose body does not come before it is told to."""

    def __init__(self, client: AsgiClient, session: str) -> None:
        self.is_being_read = asyncio.Event()
        self._may_end = asyncio.Event()
        self.statuses: list[int] = []
        self._task = asyncio.ensure_future(client.application(_patch(session), self._receive, self._send))

    async def end(self) -> None:
        self._may_end.set()
        await self._task

    async def _receive(self) -> Message:
        self.is_being_read.set()
        await self._may_end.wait()
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


@asynccontextmanager
async def _stalled(registry: InProcessRegistry, count: int) -> AsyncIterator[list[_StalledUpload]]:
    """Let so many uploads be read, and end them well afterwards."""
    replies = [await registry.client.request("POST", _UPLOADS) for _ in range(count)]
    uploads = [_StalledUpload(registry.client, reply.headers["location"]) for reply in replies]
    for upload in uploads:
        await upload.is_being_read.wait()
    yield uploads
    for upload in uploads:
        await upload.end()
    assert [upload.statuses for upload in uploads] == [[202]] * count


async def test_more_requests_than_one_address_may_have_are_429(registry: InProcessRegistry) -> None:
    """The request beyond the limit is told when to come back; as soon as others have ended it is taken."""
    async with _stalled(registry, 2):
        waiting = asyncio.ensure_future(registry.client.request("PATCH", _UPLOADS + "x", {}, [b"x"]))
        await asyncio.sleep(0)
        refused = await registry.client.request("GET", "/v2/")
        assert (refused.status, refused.error_code()) == (429, "TOOMANYREQUESTS")
        assert refused.headers["retry-after"] == "1"
        await waiting
        assert (await registry.client.request("GET", "/v2/")).status == 200


async def test_a_body_that_finds_no_place_in_time_is_503(registry: InProcessRegistry) -> None:
    """Nothing of it was read, and the metric says why it was refused."""
    session = (await registry.client.request("POST", _UPLOADS)).headers["location"]
    refused_before = _count(registry.services.metrics.refused_overload)
    async with _stalled(registry, 2):
        refused = await registry.client.request("PATCH", session, {"Content-Length": "1"}, [b"x"])
    assert (refused.status, refused.error_code()) == (503, "TOOMANYREQUESTS")
    assert refused.headers["retry-after"] == "1"
    assert _count(registry.services.metrics.refused_overload) == refused_before + 1
    assert (await registry.client.request("GET", session)).headers["range"] == "0-0"


def _count(metric: Counter) -> float:
    return next(sample.value for family in metric.collect() for sample in family.samples)


async def test_requests_that_bring_no_body_need_no_place(registry: InProcessRegistry) -> None:
    """While every place is taken, sessions begin, uploads end with an empty PUT, and blobs are pulled."""
    blob = b"small"
    digest = Digest.of_bytes(blob)
    session = (await registry.client.request("POST", _UPLOADS)).headers["location"]
    await registry.client.request("PATCH", session, {"Content-Length": str(len(blob))}, [blob])
    async with _stalled(registry, 2):
        began = await registry.client.request("POST", _UPLOADS, {"Content-Length": "0"})
        ended = await registry.client.request("PUT", f"{session}?digest={digest}", {"Content-Length": "0"})
        pulled = await registry.client.request("GET", ended.headers["location"])
    assert (began.status, ended.status, pulled.status, pulled.body) == (202, 201, 200, blob)


async def test_a_whole_blob_in_a_post_needs_a_place(registry: InProcessRegistry) -> None:
    digest = Digest.of_bytes(b"x")
    async with _stalled(registry, 2):
        refused = await registry.client.request(
            "POST", f"{_UPLOADS}?digest={digest}", {"Content-Length": "1"}, [b"x"]
        )
    assert refused.status == 503


async def test_places_come_back_whatever_ends_a_body(registry: InProcessRegistry) -> None:
    """Refused, broken off or unknown: afterwards all places are there."""
    for _ in range(5):
        await registry.client.request("PATCH", _UPLOADS + "unknown", {"Content-Length": "1"}, [b"x"])
        session = (await registry.client.request("POST", _UPLOADS)).headers["location"]
        await registry.client.request("PATCH", session, {"Content-Length": "9"}, [b"x"], vanish=True)
    async with _stalled(registry, 2):
        assert registry.services.metrics.bodies_in_progress._value.get() == 2
    assert registry.services.metrics.bodies_in_progress._value.get() == 0


async def test_a_head_of_more_than_32_kib_is_431(registry: InProcessRegistry) -> None:
    refused = await registry.client.request("GET", "/v2/", {"X-Padding": "a" * 32 * 1024})
    assert (refused.status, refused.headers["connection"]) == (431, "close")
    assert (await registry.client.request("GET", "/v2/", {"X-Padding": "a" * 31 * 1024})).status == 200


async def test_repeated_headers_count_each_time(registry: InProcessRegistry) -> None:
    peer = _SilentPeer()
    scope = _patch(_UPLOADS) | {"method": "GET", "path": "/v2/"}
    scope["headers"] = [(b"host", b"127.0.0.1:5000"), *[(b"x-padding", b"a" * 4096)] * 8]
    await registry.client.application(scope, peer.receive, peer.send)
    assert peer.statuses == [431]


async def test_a_request_ended_for_slowness_holds_nothing_of_the_server(tmp_path: Path) -> None:
    """Not even until the garbage collector comes: while a body is held, the server keeps its connection open."""
    async with in_process_registry(scratch_settings(tmp_path, limits__silence_seconds="1")) as registry:
        session = (await registry.client.request("POST", _UPLOADS)).headers["location"]
        gc.collect()
        gc.disable()
        try:
            peer = _SilentPeer()
            await registry.client.application(_patch(session), peer.receive, peer.send)
            assert peer.statuses == [408]
            held = weakref.ref(peer)
            del peer
            assert held() is None
        finally:
            gc.enable()


class _SilentPeer:
    """Sends one byte of its body, and then nothing; leaves when it has its answer."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self._sent_byte = False

    async def receive(self) -> Message:
        if not self._sent_byte:
            self._sent_byte = True
            return {"type": "http.request", "body": b"x", "more_body": True}
        if not self.statuses:
            await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])
