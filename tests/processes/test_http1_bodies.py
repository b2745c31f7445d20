"""Bodies of requests: as much as the application asks for, the rest of them, and clients that leave (I12, F41)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct
import time
import tracemalloc
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.http1.options import TlsOptions
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.certificates import make_certificate
from tests.processes.http1_serving import chunked, get, message_of, post, read_body, reply, serving, tell

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.kernel.asgi import Receive, Scope, Send
    from tests.processes.http1_serving import Client

_MIB: Final = 1 << 20
_TAKEN_MIB: Final = 6
"""What the two kernels' buffers hold, and the megabyte that the server keeps."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_EXPECTING: Final = get("/", "Content-Length: 4", "Expect: 100-continue", method="POST")


async def _answer_first(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without a look at the body."""
    await reply(send, b"%b answered" % scope["raw_path"])


async def _dribble(client: Client) -> None:
    while True:
        await client.send(b"4\r\nbody\r\n")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_i12_a_body_that_nobody_asks_for_is_not_taken(is_chunked: bool) -> None:
    """64 MiB are offered; the client is stopped by TCP, and goes on once the application asks."""
    gate = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        body = await read_body(receive)
        await reply(send, b"%d" % len(body or b""))

    framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {64 * _MIB}"
    piece = bytes(64 * 1024)
    sent = 0

    async def push(client: Client) -> None:
        nonlocal sent
        for _ in range(64 * 16):
            await client.send(b"10000\r\n%b\r\n" % piece if is_chunked else piece)
            sent += len(piece)
        if is_chunked:
            await client.send(b"0\r\n\r\n")

    async with serving(application) as server, server.connected() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256 * 1024)
        await client.send(get("/", framing, method="PUT"))
        pushing = asyncio.create_task(push(client))
        await asyncio.sleep(0.3)
        held = sent
        gate.set()
        assert (await client.answer()).body == b"%d" % (64 * _MIB)
        await pushing
    assert held < (_TAKEN_MIB + 4) * _MIB, f"{held / _MIB:.1f} MiB"


async def test_i12_a_body_of_many_small_chunks_costs_what_it_says() -> None:
    """Each piece has a price of its own; what is kept for an application that is busy has a limit in memory."""
    gate = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await tell(scope, receive, send)

    tiny = b"2\r\nab\r\n" * 20_000
    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", "Transfer-Encoding: chunked", method="PUT"))
        await asyncio.sleep(0.05)
        tracemalloc.start()
        try:
            pushing = asyncio.create_task(_push_tiny(client, tiny))
            await asyncio.sleep(0.4)
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        pushing.cancel()
        client.reset()
        gate.set()
        await server.until_idle()
    assert held < 6 * _MIB, f"{held / _MIB:.1f} MiB for a body of at most 1 MiB"


async def _push_tiny(client: Client, tiny: bytes) -> None:
    for _ in range(20):
        await client.send(tiny)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_s39_a_small_body_that_nobody_asked_for_is_skipped(is_chunked: bool) -> None:
    canary = get("/canary")
    request = chunked([canary], "/one") if is_chunked else post(canary, "/one")
    async with serving(_answer_first) as server, server.connected() as client:
        await client.send(request + get("/two") + request[:-5])
        assert [(await client.answer()).body for _ in range(3)] == [
            b"/one answered",
            b"/two answered",
            b"/one answered",
        ]
        await client.send(request[-5:] + get("/three"))
        assert (await client.answer()).body == b"/three answered"


async def test_f41_a_body_without_an_end_ends_with_the_time_for_a_head_and_its_answer_was_read() -> None:
    async with serving(_answer_first, header_timeout_seconds=0.5) as server, server.connected() as client:
        await client.send(get("/", "Transfer-Encoding: chunked", method="PUT"))
        answer = await client.answer()
        assert answer.body == b"/ answered"
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(ConnectionError):
                await _dribble(client)


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> TlsOptions | None:
    """With TLS and without."""
    return None if request.param == "plain" else TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")


@pytest.mark.parametrize("kind", ["closing answer", "exception", "closing request"])
async def test_an_answer_before_the_end_of_a_long_body_is_not_lost_to_a_reset(
    kind: str, tls: TlsOptions | None
) -> None:
    """The client goes on sending; it reads its answer when it notices, and sees no reset before."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if kind == "exception":
            raise RuntimeError("broken by a test")
        await reply(send, b"answered", *([(b"connection", b"close")] if kind == "closing answer" else []))

    wish = ("Connection: close",) if kind == "closing request" else ()
    async with serving(application, tls=tls) as server, server.connected() as client:
        await client.send(get("/", f"Content-Length: {64 * _MIB}", *wish, method="PUT"))
        for _ in range(40):
            await client.send(bytes(64 * 1024))
            await asyncio.sleep(0)
        answer = await client.answer("PUT")
        if tls is None:
            await client.expect_end()
    assert (answer.status, answer.is_last) == (500 if kind == "exception" else 200, True)


async def test_requests_after_the_last_one_cost_its_client_no_answer() -> None:
    """Much of them is still under way when the connection ends; a reset would overtake the answer."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05)
        await reply(send, b"answered")

    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", "Connection: close"))
        for _ in range(30):
            await client.send(get() * 1000)
            await asyncio.sleep(0.005)
        assert b"answered" in await client.read_to_end()


@pytest.mark.parametrize("waiting", [1, 2000])
async def test_requests_that_wait_when_the_server_ends_cost_their_client_no_answer(
    waiting: int, tls: TlsOptions | None
) -> None:
    """A client that sends on can't know yet; with TLS what follows a goodbye would end the connection at once."""
    content = bytes(50_000)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.1)
        await reply(send, content, (b"connection", b"close"))

    async with (
        serving(application, tls=tls, send_buffer_bytes=16 * 1024) as server,
        server.connected(receive_buffer_bytes=8 * 1024) as client,
    ):
        if tls is not None:
            client.writer.transport.set_read_buffer_limits(high=8192)  # type: ignore[attr-defined]  # one with TLS
        await client.send(get() + get() * waiting)
        for _ in range(30):
            await asyncio.sleep(0.01)
            await client.send(get())
        assert (await client.answer()).body == content


async def test_permission_is_given_when_the_application_asks_for_the_body() -> None:
    asked = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asked.wait()
        await tell(scope, receive, send)

    async with serving(application) as server, server.connected() as client:
        await client.send(_EXPECTING)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.receive()
        asked.set()
        assert await client.receive() == _CONTINUE
        await client.send(b"body" + get("/next"))
        assert (await client.answer()).body == b"POST /? body"
        assert (await client.answer()).body == b"GET /next? "


async def test_s39_no_permission_is_given_once_the_answer_is_sent() -> None:
    """And the connection is then of no further use, or the body is read off: nothing of it is run as a request."""
    run: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        run.append(scope["path"])
        await reply(send, b"answered")
        await receive()

    async with serving(application, header_timeout_seconds=0.5) as server, server.connected() as client:
        canary = get("/canary")
        await client.send(get("/", f"Content-Length: {len(canary)}", "Expect: 100-continue", method="POST"))
        assert (await client.answer()).body == b"answered"
        await client.send(canary)
        assert await client.read_to_any_end() == b""
    assert run == ["/"]


async def test_permission_is_not_given_for_a_body_that_came_without_it() -> None:
    async with serving(tell) as server, server.connected() as client:
        await client.send(_EXPECTING + b"body")
        assert (await client.answer()).body == b"POST /? body"


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/", "Content-Length: 4", "Expect: 100-continue", method="POST", version="1.0"),
        get("/", "Content-Length: 4", "Expect: 200-ok", method="POST"),
    ],
    ids=["HTTP/1.0", "another expectation"],
)
async def test_permission_is_not_given_to_who_would_not_understand_it(request_bytes: bytes) -> None:
    async with serving(tell) as server, server.connected() as client:
        await client.send(request_bytes)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.receive()
        await client.send(b"body")
        assert (await client.answer()).body == b"POST /? body"


async def test_s39_who_was_not_given_permission_is_not_listened_to_any_more() -> None:
    """Also where no field says how a body would come: what follows can be one, or a request."""
    async with serving(_answer_first) as server, server.connected() as client:
        await client.send(get("/", "Expect: 100-continue") + get("/canary"))
        answer = await client.answer()
        assert (answer.body, answer.is_last) == (b"/ answered", True)
        await client.expect_end()


@pytest.mark.parametrize("how", ["close", "reset", "finish", "malformed"])
async def test_a_client_that_leaves_within_its_body_is_told_to_the_application(how: str) -> None:
    told: list[tuple[str, bytes]] = []
    begun, ended = asyncio.Event(), asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        while not told or told[-1][0] != "http.disconnect":
            message = await receive()
            told.append((message["type"], message.get("body", b"")))
            begun.set()
        ended.set()

    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", "Transfer-Encoding: chunked", method="PUT") + b"4\r\nbody\r\n")
        await begun.wait()
        if how == "close":
            await client.close()
        elif how == "reset":
            client.reset()
        elif how == "finish":
            client.finish()
        else:
            await client.send(b"no size\r\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ended.wait()
    assert told == [("http.request", b"body"), ("http.disconnect", b"")]


async def test_after_the_body_the_application_waits_until_the_client_leaves() -> None:
    told: list[str] = []
    asked, ended = asyncio.Event(), asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        asked.set()
        told.append((await receive())["type"])
        ended.set()

    async with serving(application) as server, server.connected() as client:
        await client.send(post(b"body"))
        await asked.wait()
        await asyncio.sleep(0.05)
        assert told == []
        await client.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ended.wait()
    assert told == ["http.disconnect"]


async def test_a_client_that_leaves_is_noticed_even_when_it_had_asked_for_more() -> None:
    """Its second request waits, so nothing is read; that it has left must be seen all the same."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        begun.set()
        await receive()
        ended.set()

    async with serving(application) as server, server.connected() as client:
        await client.send(get() + get())
        await begun.wait()
        await asyncio.sleep(0.05)
        client.reset()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await ended.wait()
        finally:
            for connection in tuple(server.listener.connections):
                connection.channel._wire.transport.abort()


@pytest.mark.parametrize("count", [1, 3])
async def test_a_client_that_has_said_all_gets_its_answers_and_the_end(count: int) -> None:
    """Whatever it has asked before: the end of what it sends is no end of what it reads."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05)
        await tell(scope, receive, send)

    async with serving(application) as server, server.connected() as client:
        await client.send(post(b"body") * count)
        client.finish()
        for _ in range(count):
            assert (await client.answer()).body == b"POST /? body"
        await client.expect_end()


async def test_a_client_that_falls_silent_within_an_answer_sees_the_end_after_it() -> None:
    """The head went out before anybody knew; the connection is not kept for who can't ask anything more."""
    gate = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message_of("response.start", status=200))
        await send(message_of("response.body", body=b"one", more_body=True))
        await gate.wait()
        await send(message_of("response.body", body=b"two"))

    async with serving(application) as server, server.connected() as client:
        await client.send(get())
        first = await client.receive()
        client.finish()
        await asyncio.sleep(0.05)
        gate.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            rest = await client.read_to_end()
        assert (first + rest).endswith(b"3\r\ntwo\r\n0\r\n\r\n")


async def test_i11_a_request_whose_client_has_left_already_names_its_address() -> None:
    """A reset takes the peer's name from the socket, but not what was sent before it, which is carried out."""
    clients: list[tuple[str, int]] = []
    begun = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        clients.append(scope["client"])
        begun.set()
        await tell(scope, receive, send)

    async with serving(application) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            address = connection.getsockname()
            connection.sendall(post(b"body"))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await begun.wait()
        await server.until_idle()
    assert clients == [address]


async def test_who_gives_up_waiting_for_a_body_does_so_for_nobody_else() -> None:
    told: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        other = asyncio.create_task(_tell_next(receive, told))
        await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await receive()
        await send(message_of("response.start", status=200, headers=[(b"content-length", b"1")]))
        await send(message_of("response.body", body=b"", more_body=True))
        await other
        await send(message_of("response.body", body=b"x"))

    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", "Content-Length: 4", method="POST"))
        await asyncio.sleep(0.1)
        await client.send(b"body")
        assert (await client.answer()).body == b"x"
    assert told == ["http.request"]


async def _tell_next(receive: Receive, told: list[str]) -> None:
    told.append((await receive())["type"])


async def test_a_reset_between_the_last_byte_and_the_end_is_nobodys_complaint(tmp_path: Path) -> None:
    """The socket has no other direction to close by then; `serving` counts the complaints."""
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    is_reset = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"connection", b"close")]
        await send(message_of("response.start", status=200, headers=fields))
        await send(message_of("response.pathsend", path=str(path)))
        client.reset()
        time.sleep(0.02)  # noqa: ASYNC251  # the event loop must not hear of it yet
        is_reset.set()

    async with serving(application) as server:
        async with server.connected() as client:
            await client.send(get())
            await is_reset.wait()
            await asyncio.sleep(0.1)
        await server.until_idle()
        gc.collect()
