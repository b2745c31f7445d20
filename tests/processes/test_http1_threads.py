"""Bodies that a thread takes from the client: the same bytes, ends, and next requests (I12, S39, F10)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import threading
import tracemalloc
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from httptools import HttpParserCallbackError

from entrepot.http1 import body_reading
from entrepot.http1.options import TlsOptions
from entrepot.http1.request_body import RequestBody
from entrepot.kernel.asgi import BODY_ON_THREAD
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.certificates import make_certificate
from tests.processes.http1_serving import (
    chunked,
    get,
    open_descriptors,
    post,
    reply,
    serving,
    tell,
    until_descriptors,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from entrepot.http1.connection import Connection
    from entrepot.kernel.asgi import BodyOnThread, Receive, Scope, Send
    from tests.processes.http1_serving import Client, Serving

_MIB: Final = 1 << 20
_CONTENT: Final = random.Random(1).randbytes(12 * _MIB)  # content for a test
_SMALLEST: Final = b"twenty-four bytes, as is"
"""A chunk of which a quarter is what is around it."""
_BOTH: Final = pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])


@dataclass
class _Taker:
    """An application that takes bodies on a thread whenever the client is ahead, and answers with their size."""

    received: bytearray = field(default_factory=bytearray)
    by_thread: int = 0
    was_cut: bool = False
    were_offered_thread: list[bool] = field(default_factory=list[bool])
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failing_at: int | None = None
    on_turn: Callable[[], None] = lambda: None

    def sink(self, pieces: Sequence[bytes | memoryview]) -> None:
        self.on_turn()
        for piece in pieces:
            self.received += piece
        if self.failing_at is not None and len(self.received) >= self.failing_at:
            raise OSError("full, says a test")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await tell(scope, receive, send)
            return
        self.received.clear()
        try:
            source = scope["extensions"].get(BODY_ON_THREAD)
            self.were_offered_thread.append(source is not None)
            self.was_cut = not await self._take(source, receive)
        except OSError:
            await reply(send, b"full", status=507)
        else:
            if not self.was_cut:
                await reply(send, b"%d" % len(self.received))
        finally:
            self.ended.set()

    async def _take(self, source: BodyOnThread | None, receive: Receive) -> bool:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            self.received += message.get("body", b"")
            if not message.get("more_body", False):
                return True
            await asyncio.sleep(0.005)  # so that the client gets ahead
            if source is not None and source.has_backlog:
                await self._take_on_thread(source)

    async def _take_on_thread(self, source: BodyOnThread) -> None:
        count = await source.read(self.sink)
        self.by_thread += count
        while count and not source.has_ended:
            await source.arrival()
            count = await source.read(self.sink)
            self.by_thread += count


def _request(content: bytes, *, is_chunked: bool, seed: int = 0) -> bytes:
    if not is_chunked:
        return post(content)
    sizes, pieces, start = random.Random(seed), list[bytes](), 0  # sizes for a test
    while start < len(content):
        size = sizes.choice((1, 100, 32 * 1024, 300 * 1024))
        pieces.append(content[start : start + size])
        start += size
    return chunked(pieces)


@_BOTH
async def test_the_thread_takes_most_of_a_large_body_and_the_next_request_is_answered(
    is_chunked: bool,
) -> None:
    taker = _Taker()
    async with serving(taker) as server, server.connected() as client:
        for turn in range(3):
            request = _request(_CONTENT, is_chunked=is_chunked, seed=turn)
            sending = asyncio.create_task(client.send(request + get("/next")))
            assert (await client.answer()).body == b"%d" % len(_CONTENT)
            assert bytes(taker.received) == _CONTENT
            assert (await client.answer()).body == b"GET /next? "
            await sending
    assert taker.by_thread > len(_CONTENT)


@_BOTH
async def test_s39_what_looks_like_a_request_within_the_body_is_none(is_chunked: bool) -> None:
    """The body ends where it says, also when the thread reads its end together with what follows."""
    taker = _Taker()
    content = get("/canary") * 40_000
    async with serving(taker) as server, server.connected() as client:
        sending = asyncio.create_task(
            client.send(_request(content, is_chunked=is_chunked) + get("/one") * 500)
        )
        assert (await client.answer()).body == b"%d" % len(content)
        for _ in range(500):
            assert (await client.answer()).body == b"GET /one? "
        await sending
    assert taker.by_thread


@_BOTH
@pytest.mark.parametrize("how", ["close", "reset", "finish"])
async def test_a_client_that_leaves_while_a_thread_listens_is_told_and_what_came_is_kept(
    how: str, is_chunked: bool
) -> None:
    taker = _Taker()
    before = open_descriptors()
    async with serving(taker) as server, server.connected() as client:
        request = _request(_CONTENT, is_chunked=is_chunked)
        await client.send(request[: len(request) // 2])
        await asyncio.sleep(0.1)
        if how == "reset":
            client.reset()
        elif how == "finish":
            client.finish()
        else:
            await client.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await taker.ended.wait()
        assert taker.was_cut
        assert taker.by_thread
        assert len(taker.received) >= 5 * _MIB
        assert _CONTENT.startswith(bytes(taker.received))
        if how == "finish":
            await client.close()
        await server.until_idle()
    await until_descriptors(before)


async def test_what_is_no_chunk_ends_the_body_where_a_thread_reads_it() -> None:
    taker = _Taker()
    async with serving(taker) as server, server.connected() as client:
        request = _request(_CONTENT, is_chunked=True).removesuffix(b"0\r\n\r\n")
        await client.send(request + b"no size\r\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await taker.ended.wait()
        assert taker.was_cut
        assert bytes(taker.received) == _CONTENT
        await client.read_to_any_end()


@_BOTH
async def test_what_the_sink_raises_is_answered_and_the_rest_of_the_body_is_skipped(is_chunked: bool) -> None:
    taker = _Taker(failing_at=3 * _MIB)
    async with serving(taker) as server, server.connected() as client:
        sending = asyncio.create_task(client.send(_request(_CONTENT, is_chunked=is_chunked) + get("/next")))
        assert (await client.answer()).status == 507
        assert (await client.answer()).body == b"GET /next? "
        await sending


async def test_a_request_that_is_given_up_while_a_thread_listens_leaves_nothing_behind() -> None:
    """The time for a slow body is up, say: its wait is cancelled, and nothing may read for nobody."""
    cancelled = asyncio.Event()
    taken = bytearray()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        taken.extend((await receive())["body"])
        await asyncio.sleep(0.05)
        assert source.has_backlog
        while await source.read(lambda pieces: taken.extend(b"".join(pieces))):
            try:
                async with asyncio.timeout(0.1):
                    await source.arrival()
            except TimeoutError:
                cancelled.set()
                await reply(send, b"slow", status=408)
                return

    before = open_descriptors()
    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", f"Content-Length: {len(_CONTENT)}", method="PUT") + _CONTENT[: 2 * _MIB])
        async with asyncio.timeout(PATIENCE_SECONDS):
            await cancelled.wait()
        assert (await client.answer()).status == 408
        await client.send(_CONTENT[2 * _MIB :] + get("/next"))
        assert _CONTENT.startswith(bytes(taken))
        client.reset()
        await server.until_idle()
    await until_descriptors(before)


async def test_a_connection_that_is_thrown_away_while_a_thread_reads_ends_when_the_thread_does() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    counts: list[int] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        loop = asyncio.get_running_loop()

        def sink(pieces: Sequence[bytes | memoryview]) -> None:
            loop.call_soon_threadsafe(entered.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(PATIENCE_SECONDS)

        await receive()
        await asyncio.sleep(0.05)
        counts.append(await source.read(sink))
        counts.append(await source.read(sink))
        assert source.has_ended
        assert (await receive())["type"] == "http.disconnect"

    before = open_descriptors()
    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", f"Content-Length: {len(_CONTENT)}", method="PUT") + _CONTENT[:_MIB])
        await entered.wait()
        thrown_away = _throw_away(server)
        await asyncio.sleep(0.05)
        gc.disable()  # what is left then must need no collector
        try:
            go_on.set()
            await server.until_idle()
            await asyncio.sleep(0)
            assert [one for one in thrown_away if one() is not None] == []
        finally:
            gc.enable()
    assert counts[0] > 0
    assert counts[1] == 0
    await until_descriptors(before)


def _throw_away(server: Serving) -> list[weakref.ref[Connection]]:
    connections = list(server.listener.connections)
    for connection in connections:
        connection.channel.break_off(by_reset=True)
    return [weakref.ref(connection) for connection in connections]


async def test_a_connection_that_ends_between_reading_and_parsing_breaks_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taker = _Taker()
    loop, receive = asyncio.get_running_loop(), body_reading._receive
    errors: list[object] = []

    async def throw_away() -> None:
        _throw_away(server)
        await asyncio.sleep(0.05)

    def receive_late(descriptor: int, buffer: memoryview) -> int:
        size = receive(descriptor, buffer)
        asyncio.run_coroutine_threadsafe(throw_away(), loop).result(PATIENCE_SECONDS)
        return size

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await taker(scope, receive, send)
        except Exception as error:
            errors.append(error)
            raise

    monkeypatch.setattr(body_reading, "_receive", receive_late)
    async with serving(application) as server, server.connected() as client:
        await client.send(_request(_CONTENT, is_chunked=True)[: 2 * _MIB])
        async with asyncio.timeout(PATIENCE_SECONDS):
            await taker.ended.wait()
        await server.until_idle()
    assert taker.was_cut
    assert errors == []


async def test_s39_where_memory_runs_out_on_a_thread_nothing_more_is_taken_for_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part of the body is lost; what follows would be read from within a chunk."""
    taker, feed, run = _Taker(), RequestBody.feed, list[str]()

    def feed_while_there_is_memory(body: RequestBody, piece: bytes) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError
        feed(body, piece)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        run.append(scope["path"])
        try:
            await taker(scope, receive, send)
        except HttpParserCallbackError:
            await reply(send, b"broken", status=500)

    monkeypatch.setattr(RequestBody, "feed", feed_while_there_is_memory)
    async with serving(application) as server, server.connected() as client:
        content = get("/canary") * 40_000
        sending = asyncio.create_task(client.send(_request(content, is_chunked=True) + get("/next")))
        answer = await client.answer()
        await client.read_to_any_end()
        await asyncio.wait({sending})
        sending.exception()
    assert (answer.status, answer.is_last, run) == (500, True, ["/"])


async def test_a_reading_that_is_cancelled_ends_with_its_thread() -> None:
    """Whoever cancels may close the file that the thread writes to."""
    entered, go_on = threading.Event(), threading.Event()
    at_work: list[bool] = [False]

    def sink(pieces: Sequence[bytes | memoryview]) -> None:
        at_work[0] = True
        entered.set()
        go_on.wait(PATIENCE_SECONDS)
        at_work[0] = False

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        await receive()
        await asyncio.sleep(0.05)
        reading = asyncio.ensure_future(source.read(sink))
        assert await asyncio.to_thread(entered.wait, PATIENCE_SECONDS)
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        reading.cancel()
        try:
            await reading
        except asyncio.CancelledError:
            assert not at_work[0]
            await reply(send, b"cancelled")

    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", f"Content-Length: {len(_CONTENT)}", method="PUT") + _CONTENT[:_MIB])
        assert (await client.answer()).body == b"cancelled"
    assert go_on.is_set()


async def test_i12_a_body_of_small_chunks_costs_a_thread_what_it_says() -> None:
    """Each piece has a price of its own also there, and what is parsed waits for what was parsed before."""
    taker = _Taker()
    highest = 0
    count = 4 * _MIB // len(_SMALLEST)
    content = _SMALLEST * count
    small = get("/", "Transfer-Encoding: chunked", method="PUT")
    small += b"18\r\n%b\r\n" % _SMALLEST * count + b"0\r\n\r\n"
    async with serving(taker) as server, server.connected() as client:
        taker.received = bytearray(len(content))
        tracemalloc.start()
        try:
            sending = asyncio.create_task(client.send(small))
            answer = await _answer_of_slow(client)
            highest = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        await sending
        assert answer == b"%d" % len(content)
    assert taker.by_thread
    assert highest < 16 * _MIB, f"{highest / _MIB:.1f} MiB for pieces of 24 bytes"


@pytest.mark.parametrize(
    "opening", [b"", b"%x\r\n%b\r\n" % (3 * _MIB, bytes(3 * _MIB))], ids=["at once", "later"]
)
async def test_i12_a_body_is_refused_whose_chunks_are_too_small_for_what_is_around_them(
    opening: bytes,
) -> None:
    """Each is a call, of a thread or of the event loop, and many such bodies would stop the large ones of others."""
    taker, count = _Taker(), 40_000 + len(opening) // 16
    async with serving(taker) as server, server.connected() as client:
        head = get("/", "Transfer-Encoding: chunked", method="PUT")
        sending = asyncio.create_task(client.send(head + opening + b"1\r\nx\r\n" * count))
        await taker.ended.wait()
        assert taker.was_cut
        with contextlib.suppress(OSError):
            await sending
    assert len(taker.received) < len(opening) + 256 * 1024
    assert taker.by_thread


async def _answer_of_slow(client: Client) -> bytes:
    received = b""
    async with asyncio.timeout(100):
        while not received.endswith(b"\r\n\r\n"):
            received += await asyncio.get_running_loop().sock_recv(client.socket, 1)
        size = int(received.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = b""
        while len(body) < size:
            body += await asyncio.get_running_loop().sock_recv(client.socket, size - len(body))
    return body


async def test_a_client_that_is_not_ahead_has_no_thread(tmp_path: Path) -> None:
    """Nor has one with TLS, whose bytes are decrypted on the event loop."""
    taker = _Taker()
    tls = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")
    async with serving(taker, tls=tls) as server, server.connected() as client:
        sending = asyncio.create_task(client.send(post(_CONTENT)))
        assert (await client.answer()).body == b"%d" % len(_CONTENT)
        await sending
    assert bytes(taker.received) == _CONTENT
    async with serving(taker) as server, server.connected() as client:
        await client.send(get("/", "Content-Length: 100000", method="PUT"))
        for start in range(0, 100_000, 10_000):
            await client.send(_CONTENT[start : start + 10_000])
            await asyncio.sleep(0.01)
        assert (await client.answer()).body == b"100000"
    assert taker.were_offered_thread == [False, True]
    assert taker.by_thread == 0


@pytest.mark.parametrize("missing", ["thread", "descriptor"])
async def test_f10_without_a_thread_or_a_descriptor_the_event_loop_takes_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taker = _Taker()

    def refuse(*_: object) -> int:
        raise OSError("no descriptor, says a test") if missing == "descriptor" else RuntimeError("no thread")

    async with serving(taker) as server, server.connected() as client:
        if missing == "thread":
            monkeypatch.setattr(server.listener.body_threads._threads, "submit", refuse)
        else:
            monkeypatch.setattr("entrepot.http1.wire.os.dup", refuse)
        sending = asyncio.create_task(client.send(post(_CONTENT)))
        assert (await client.answer()).body == b"%d" % len(_CONTENT)
        await sending
    assert (bytes(taker.received), taker.by_thread) == (_CONTENT, 0)


async def test_a_body_has_its_turn_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one thread for all, none of three bodies waits for the end of another."""
    monkeypatch.setattr(body_reading, "_THREADS", 1)
    monkeypatch.setattr(body_reading, "_TURN_BYTES", _MIB)
    turns: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        taker = _Taker()
        taker.on_turn = lambda: turns.append(scope["path"])
        await taker(scope, receive, send)

    async def push(client: Client, path: str) -> None:
        await client.send(post(_CONTENT, path))
        assert (await client.answer()).body == b"%d" % len(_CONTENT)

    async with serving(application) as server, contextlib.AsyncExitStack() as clients:
        connected = [await clients.enter_async_context(server.connected()) for _ in range(3)]
        await asyncio.gather(*(push(client, f"/{number}") for number, client in enumerate(connected)))
    changes = sum(one != other for one, other in itertools.pairwise(turns))
    assert changes > 6, turns


async def test_a_connection_that_has_ended_needs_no_garbage_collector() -> None:
    taker = _Taker()
    async with serving(taker) as server:
        gc.disable()
        try:
            async with server.connected() as client:
                await client.send(get("/", "Content-Length: 0", method="PUT"))
                await client.answer()
                (ended,) = map(weakref.ref, server.listener.connections)
            await server.until_idle()
            await asyncio.sleep(0)
            assert ended() is None
        finally:
            gc.enable()
