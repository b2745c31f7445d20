"""Turns of threads with bodies: where one ends, how it is given up, and what is lost when it breaks (S39, F8, F10)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.http1 import body_reading
from entrepot.http1.connection import Connection
from entrepot.kernel.asgi import BODY_ON_THREAD
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.http1_serving import get, post, reply, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.kernel.asgi import BodyOnThread, Receive, Scope, Send

_MIB: Final = 1 << 20
_FEW: Final = 100
"""Bytes after which a turn ends in these tests."""


async def test_a_turn_that_ends_with_bytes_that_were_not_parsed_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All has been read from the socket: to wait for more of it would be to wait for ever."""
    monkeypatch.setattr(body_reading, "_TURN_BYTES", _FEW)
    taken = bytearray()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        taken.extend((await receive())["body"])
        await asyncio.sleep(0.2)  # so that all of it is in the kernel
        while not source.has_ended:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await source.arrival()
            await source.read(lambda pieces: taken.extend(b"".join(pieces)))
        await reply(send, b"%d" % len(taken))

    small = b"20\r\n" + b"ab" * 16 + b"\r\n"
    many = small * 10_000
    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", "Transfer-Encoding: chunked", method="PUT") + b"1\r\na\r\n")
        await asyncio.sleep(0.05)
        sending = asyncio.create_task(client.send(many + b"0\r\n\r\n"))
        assert (await client.answer()).body == b"320001"
        await sending


async def test_i12_a_turn_ends_in_time_also_within_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of small chunks alone is longer than a turn, and other bodies wait for the thread."""
    monkeypatch.setattr(body_reading, "_TURN_SECONDS", 0.001)
    turns = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal turns
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        size = len((await receive())["body"])
        while not source.has_ended:
            await source.arrival()
            size += await source.read(lambda _: None)
            turns += 1
        size += len((await receive())["body"])
        await reply(send, b"%d" % size)

    small = b"20\r\n" + b"ab" * 16 + b"\r\n"
    async with serving(application) as server, server.connected() as client:
        sending = asyncio.create_task(
            client.send(get("/", "Transfer-Encoding: chunked", method="PUT") + small * 100_000 + b"0\r\n\r\n")
        )
        assert (await client.answer()).body == b"3200000"
        await sending
    assert turns > 8


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_s39_a_turn_that_breaks_makes_no_request_of_a_body(
    framing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory runs out between two readings: where the body ends is known, or nothing more is taken."""
    receive_bytes, calls, run = body_reading._receive, [0], list[str]()

    def receive_some(descriptor: int, buffer: memoryview) -> int:
        calls[0] += 1
        size = receive_bytes(descriptor, buffer[:37_000])
        if calls[0] == 2:
            raise MemoryError
        return size

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        run.append(scope["path"])
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        await receive()
        await asyncio.sleep(0.1)
        with contextlib.suppress(MemoryError):
            await source.read(lambda _: None)
        await reply(send, b"broken", status=500)

    monkeypatch.setattr(body_reading, "_receive", receive_some)
    content = get("/canary") * 40_000
    chunk = b"%x\r\n%b\r\n" % (len(content), content)
    head = get("/", "Transfer-Encoding: chunked", method="POST")
    request = post(content) if framing == "length" else head + chunk + b"0\r\n\r\n"
    async with serving(application) as server, server.connected() as client:
        sending = asyncio.create_task(client.send(request + get("/canary") * 2000))
        answer = await client.answer()
        await client.read_to_any_end()
        sending.cancel()
        await asyncio.wait({sending})
    assert (answer.status, answer.is_last, run) == (500, True, ["/"])


async def test_f8_a_reading_that_no_thread_has_begun_is_given_up_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The only thread waits for a disk; whoever waits behind it and gives up must neither wait nor write later."""
    monkeypatch.setattr(body_reading, "_THREADS", 1)
    entered, go_on = threading.Event(), threading.Event()
    late: list[object] = []

    def wait(_: Sequence[bytes | memoryview]) -> None:
        entered.set()
        go_on.wait(PATIENCE_SECONDS)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        await receive()
        await asyncio.sleep(0.05)
        if scope["path"] == "/first":
            await source.read(wait)
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await source.read(late.extend)
            assert not go_on.is_set()
        await reply(send, scope["path"].encode())

    request = get("/first", f"Content-Length: {4 * _MIB}", method="PUT") + bytes(_MIB)
    async with serving(application) as server, server.connected() as one, server.connected() as two:
        await one.send(request)
        assert await asyncio.to_thread(entered.wait, PATIENCE_SECONDS)
        await two.send(request.replace(b"/first", b"/second"))
        assert (await two.answer()).body == b"/second"
        go_on.set()
        assert (await one.answer()).body == b"/first"
    assert late == []


async def test_a_reading_that_is_given_up_ends_with_its_step_and_its_failure_interests_nobody() -> None:
    """The listener's fixture fails on what asyncio has to complain about."""
    taken: list[int] = []
    entered = threading.Event()

    def sink(pieces: Sequence[bytes | memoryview]) -> None:
        taken.append(sum(map(len, pieces)))
        entered.set()
        time.sleep(0.3)
        raise OSError("full, says a test")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        await receive()
        await asyncio.sleep(0.05)
        reading = asyncio.ensure_future(source.read(sink))
        assert await asyncio.to_thread(entered.wait, PATIENCE_SECONDS)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        await reply(send, b"given up")

    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", f"Content-Length: {4 * _MIB}", method="PUT") + bytes(_MIB))
        assert (await client.answer()).body == b"given up"
        gc.collect()
    assert len(taken) == 1


async def test_a_reading_that_is_given_up_takes_no_more_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it wait for the end of its turn, which is far away here."""
    monkeypatch.setattr(body_reading, "_TURN_SECONDS", 30.0)
    monkeypatch.setattr(body_reading, "_TURN_BYTES", 100 * _MIB)
    steps: list[bool] = []
    is_second, given_up = threading.Event(), threading.Event()

    def sink(_: Sequence[bytes | memoryview]) -> None:
        steps.append(given_up.is_set())
        if len(steps) == 2:
            is_second.set()
        time.sleep(0.05)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        await receive()
        await asyncio.sleep(0.05)
        reading = asyncio.ensure_future(source.read(sink))
        assert await asyncio.to_thread(is_second.wait, PATIENCE_SECONDS)
        reading.cancel()
        await asyncio.sleep(0.01)  # it has heard of it then
        given_up.set()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        await reply(send, b"given up")

    async with serving(application) as server, server.connected() as client:
        data = get("/", f"Content-Length: {40 * _MIB}", method="PUT") + bytes(20 * _MIB)
        sending = asyncio.create_task(client.send(data))
        assert (await client.answer()).body == b"given up"
        sending.cancel()
        await asyncio.wait({sending})
        client.reset()
    assert steps.count(False) > 1
    assert steps.count(True) <= 1


async def test_i12_a_turn_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny chunks cost a thread, and all who wait for it, far more than their bytes."""
    monkeypatch.setattr(body_reading, "_TURN_SECONDS", 0.05)
    steps: list[int] = []

    def sink(_: Sequence[bytes | memoryview]) -> None:
        steps.append(1)
        time.sleep(0.04)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        await receive()
        await asyncio.sleep(0.05)
        await source.read(sink)
        await reply(send, b"%d" % len(steps))

    async with serving(application) as server, server.connected() as client:
        sending = asyncio.create_task(client.send(post(bytes(12 * _MIB))))
        assert int((await client.answer()).body) <= 3  # what the event loop had read is one of them
        await sending


async def test_f10_an_exchange_ends_also_when_the_connection_can_not_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else its connection stayed, and the listener never stopped."""
    give_back = Connection.take_parser_back

    def give_back_without_memory(connection: Connection) -> None:
        give_back(connection)
        raise MemoryError

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
        await receive()
        await asyncio.sleep(0.05)
        await source.read(lambda _: None)
        await reply(send, b"answered")

    monkeypatch.setattr(Connection, "take_parser_back", give_back_without_memory)
    async with serving(application) as server:
        async with server.connected() as client:
            await client.send(get("/", f"Content-Length: {4 * _MIB}", method="PUT") + bytes(_MIB))
            assert (await client.answer()).body == b"answered"
        await server.until_idle()
        server.complaints.clear()  # of the exception, which nobody could take
