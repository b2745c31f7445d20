"""The listener by itself, with an application that is no suspect."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from entrepot.http1.listener import Listener
from entrepot.http1.options import ListenerOptions
from entrepot.processes.lifespan import LifespanError, run_lifespan
from entrepot.processes.sockets import bind_listener
from entrepot.settings import ListenAddress
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.running.free_ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.kernel.asgi import Application, Receive, Scope, Send


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as the path says."""
    if scope["path"] == "/broken":
        raise RuntimeError("broken by a test")
    body = repr((scope["root_path"], scope["state"], scope["http_version"])).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def serving(
    application: Application = answer, *, max_connections: int = 100, header_timeout_seconds: float = 30
) -> AsyncIterator[tuple[Listener, int]]:
    """A listener in this process and its port."""
    port = find_free_port()
    listener_socket = bind_listener(ListenAddress("127.0.0.1", port), "http.listen")
    options = ListenerOptions(max_connections, header_timeout_seconds)
    listener = Listener(application, listener_socket.detach(), options)
    listener.start()
    try:
        yield listener, port
    finally:
        await listener.stop()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is closed however the test ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_f41_a_head_that_does_not_end_ends_its_connection() -> None:
    async with serving(header_timeout_seconds=0.5) as (_, port), connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        answer_text = asyncio.create_task(reader.read(1000))
        while not answer_text.done():
            writer.write(b"X")
            await asyncio.wait({answer_text}, timeout=0.1)
        assert (await answer_text).startswith(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n")
        # What was written after the end is answered by a reset.
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


async def test_f41_an_idle_connection_ends_with_the_time_for_a_head() -> None:
    async with serving(header_timeout_seconds=0.5) as (_, port), connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await reader.read()


async def test_f41_connections_beyond_the_limit_wait_for_their_turn() -> None:
    async with (
        serving(max_connections=2, header_timeout_seconds=1) as (_, port),
        connected(port),
        connected(port),
    ):
        status, _ = await ask(port, "/")
        assert status == 200


async def test_an_exception_of_the_application_answers_500_and_leaves_the_listener_serving() -> None:
    async with serving() as (_, port):
        assert (await ask(port, "/broken"))[0] == 500
        status, body = await ask(port, "/")
        assert status == 200
        assert body == b"('', {}, '1.1')"


async def test_stopping_waits_for_a_request_under_way_and_its_answer_closes_the_connection() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await answer(scope, receive, send)

    async with serving(wait) as (listener, port):
        request = asyncio.create_task(ask(port, "/"))
        await begun.wait()
        listener.stop_accepting()
        listener.refuse_connections()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        stopping = asyncio.create_task(listener.stop())
        await asyncio.wait({stopping}, timeout=0.3)
        assert not stopping.done()
        go_on.set()
        await stopping
        assert (await request)[0] == 200


async def test_a_connection_made_before_the_end_may_still_send_its_first_request() -> None:
    async with serving() as (listener, port), connected(port) as (reader, writer):
        while not listener.connections:  # noqa: ASYNC110  # which tell nobody
            await asyncio.sleep(0.005)
        listener.stop_accepting()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer_text = await reader.read()
        assert answer_text.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" in answer_text


async def test_connections_after_the_end_wait_in_the_socket_for_somebody_else() -> None:
    async with serving() as (listener, port):
        listener.stop_accepting()
        async with connected(port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await reader.read()


async def test_an_application_that_breaks_at_its_start_is_not_served() -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("broken by a test")

    with pytest.raises(RuntimeError, match="broken by a test"):
        async with run_lifespan(broken):
            raise AssertionError("must not be reached")


async def test_an_application_that_says_it_failed_to_start_is_not_served() -> None:
    async def failed(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(LifespanError, match="no database"):
        async with run_lifespan(failed):
            raise AssertionError("must not be reached")


async def ask(port: int, path: str) -> tuple[int, bytes]:
    """One request over a new connection; status and body."""
    async with asyncio.timeout(PATIENCE_SECONDS), connected(port) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body
