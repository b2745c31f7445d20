"""Pushes that a thread takes from a fast client: nothing is lost, twice or out of place (I1, F5, F41)."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.http1.body_reading import BodyThreads
from tests.asgi.services import CountingOperations, InProcessRegistry, in_process_registry, scratch_settings
from tests.processes.http1_serving import Answered, Serving, serving
from tests.processes.http1_serving import get as request_to_any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

_MIB: Final = 1 << 20
_LAYER: Final = random.Random(7).randbytes(40 * _MIB)  # content for a test
_DIGEST: Final = "sha256:" + hashlib.sha256(_LAYER).hexdigest()
_UPLOADS: Final = "/v2/team/app/blobs/uploads/"
_BLOB: Final = f"/v2/team/app/blobs/{_DIGEST}"
_BOTH: Final = pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])


def _request(target: str, *lines: str, method: str = "GET") -> bytes:
    return request_to_any(target, *lines, method=method).replace(b"Host: x", b"Host: 127.0.0.1", 1)


@dataclass
class _Registry:
    inner: InProcessRegistry
    server: Serving
    by_thread: list[int]

    async def begin(self) -> str:
        answer = await self.server.ask(_request(_UPLOADS, "Content-Length: 0", method="POST"))
        return answer.fields[b"location"].decode()

    async def offset(self, session: str) -> int:
        answer = await self.server.ask(_request(session))
        return int(answer.fields[b"range"].removeprefix(b"0-")) + 1

    async def finish(self, session: str, digest: str = _DIGEST) -> int:
        target = f"{session}?digest={digest}"
        return (await self.server.ask(_request(target, "Content-Length: 0", method="PUT"))).status

    async def is_whole(self) -> bool:
        return (await self.server.ask(_request(_BLOB))).body == _LAYER


@pytest.fixture
async def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[_Registry]:
    """A registry behind the product's own listener, and how many bytes threads have taken."""
    async with _open(tmp_path, monkeypatch) as registry:
        yield registry


@asynccontextmanager
async def _open(directory: Path, patch: pytest.MonkeyPatch, **limits: str) -> AsyncIterator[_Registry]:
    by_thread: list[int] = []
    read = BodyThreads.read

    async def counted(*arguments: Any) -> int:
        by_thread.append(await read(*arguments))
        return by_thread[-1]

    patch.setattr(BodyThreads, "read", counted)
    async with (
        in_process_registry(scratch_settings(directory / "data", **limits)) as inner,
        serving(inner.client.application) as server,
    ):
        yield _Registry(inner, server, by_thread)


def _body(content: bytes, *, is_chunked: bool) -> tuple[str, bytes]:
    if not is_chunked:
        return f"Content-Length: {len(content)}", content
    size = 32 * 1024  # as clients written in Go send it
    pieces = (content[start : start + size] for start in range(0, len(content), size))
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return "Transfer-Encoding: chunked", framed + b"0\r\n\r\n"


async def _send(registry: _Registry, method: str, target: str, body: tuple[str, bytes]) -> Answered:
    async with registry.server.connected() as client:
        sending = asyncio.create_task(client.send(_request(target, body[0], method=method) + body[1]))
        answer = await client.answer()
        await sending
        return answer


@_BOTH
async def test_a_layer_that_comes_quickly_is_hashed_and_stored_by_threads_i1(
    registry: _Registry, is_chunked: bool
) -> None:
    session = await registry.begin()

    answer = await _send(registry, "PATCH", session, _body(_LAYER, is_chunked=is_chunked))

    assert (answer.status, answer.fields[b"range"]) == (202, b"0-%d" % (len(_LAYER) - 1))
    assert await registry.finish(session) == 201
    assert await registry.is_whole()
    assert sum(registry.by_thread) > len(_LAYER) // 2


@_BOTH
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_layer_in_one_request_is_verified(registry: _Registry, method: str, is_chunked: bool) -> None:
    target = _UPLOADS if method == "POST" else await registry.begin()
    body = _body(_LAYER, is_chunked=is_chunked)

    wrong = await _send(registry, method, f"{target}?digest=sha256:{'0' * 64}", body)
    target = _UPLOADS if method == "POST" else await registry.begin()
    right = await _send(registry, method, f"{target}?digest={_DIGEST}", body)

    assert (wrong.status, right.status) == (400, 201)
    assert await registry.is_whole()
    assert sum(registry.by_thread) > len(_LAYER)


@_BOTH
async def test_what_came_before_the_client_left_is_kept_and_the_upload_goes_on_f24(
    registry: _Registry, is_chunked: bool
) -> None:
    session = await registry.begin()
    framing, body = _body(_LAYER, is_chunked=is_chunked)

    async with registry.server.connected() as client:
        await client.send(_request(session, framing, method="PATCH") + body[: len(body) // 2])
    await registry.server.until_idle()
    kept = await registry.offset(session)

    assert sum(registry.by_thread) > 10 * _MIB
    assert 19 * _MIB < kept <= len(_LAYER) // 2
    answer = await _send(registry, "PATCH", session, _body(_LAYER[kept:], is_chunked=is_chunked))
    assert answer.status == 202
    assert await registry.finish(session) == 201
    assert await registry.is_whole()


async def test_f5_a_disk_that_is_full_meanwhile_is_answered_and_the_upload_ends_where_it_ended(
    registry: _Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await registry.begin()
    assert (await _send(registry, "PATCH", session, _body(_LAYER[:_MIB], is_chunked=False))).status == 202
    write, room = CountingOperations.write_at, 30 * _MIB

    def write_while_there_is_room(
        self: CountingOperations, descriptor: int, buffers: Sequence[bytes | memoryview], offset: int
    ) -> int:
        if offset > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, descriptor, buffers, offset)

    with monkeypatch.context() as patch:
        patch.setattr(CountingOperations, "write_at", write_while_there_is_room)
        answer = await _send(registry, "PATCH", session, _body(_LAYER[_MIB:], is_chunked=True))

    assert answer.status == 507
    assert sum(registry.by_thread) > 4 * _MIB
    assert await registry.offset(session) == _MIB
    await _send(registry, "PATCH", session, _body(_LAYER[_MIB:], is_chunked=False))
    assert await registry.finish(session) == 201
    assert await registry.is_whole()


async def test_f41_a_client_that_falls_silent_while_a_thread_listens_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _open(tmp_path, monkeypatch, limits__silence_seconds="3") as registry:
        session = await registry.begin()
        half = _LAYER[: len(_LAYER) // 2]
        async with registry.server.connected() as client:
            await client.send(_request(session, f"Content-Length: {len(_LAYER)}", method="PATCH") + half)
            assert (await client.receive()).startswith(b"HTTP/1.1 408 ")
        assert sum(registry.by_thread) > 10 * _MIB


async def test_a_range_that_the_body_does_not_fill_is_refused_also_of_unknown_length(
    registry: _Registry,
) -> None:
    session = await registry.begin()
    short = _request(session, "Transfer-Encoding: chunked", f"Content-Range: 0-{len(_LAYER)}", method="PATCH")

    async with registry.server.connected() as client:
        sending = asyncio.create_task(client.send(short + _body(_LAYER, is_chunked=True)[1]))
        answer = await client.answer()
        await sending

    assert answer.status == 400
    assert await registry.offset(session) <= len(_LAYER)
