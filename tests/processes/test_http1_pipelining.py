"""Requests one after the other on one connection: in order, one at a time, and nothing of a body is run (S39, I12)."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING, Final

import pytest

from tests.processes.http1_serving import chunked, get, give, post, read_body, reply, serving, tell

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Receive, Scope, Send
    from tests.processes.http1_serving import Client

_MIB: Final = 1 << 20
_UPGRADES: Final = {
    "h2c": (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ),
    "websocket": (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
}
_CANARY: Final = get("/canary")


async def test_pipelined_requests_are_answered_in_order_and_one_at_a_time() -> None:
    running, most = 0, 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02 if scope["path"] == "/0" else 0)
        await tell(scope, receive, send)
        running -= 1

    async with serving(application) as server, server.connected() as client:
        await client.send(b"".join(get(f"/{number}") for number in range(20)))
        bodies = [(await client.answer()).body for _ in range(20)]
    assert bodies == [b"GET /%d? " % number for number in range(20)]
    assert most == 1


async def test_i12_ten_thousand_requests_in_one_write_are_all_answered_in_little_memory() -> None:
    """What waits for its turn waits as bytes, not as requests that have been taken apart."""
    gate = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await reply(send, scope["raw_path"])

    requests = b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(10_000))
    async with serving(application) as server, server.connected() as client:
        tracemalloc.start()
        try:
            sending = asyncio.create_task(client.send(requests))
            await asyncio.sleep(0.3)
            held_bytes = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        gate.set()
        bodies = [(await client.answer()).body for _ in range(10_000)]
        await sending
    assert bodies == [b"/%d" % number for number in range(10_000)]
    assert held_bytes < 2 * _MIB, f"{held_bytes / _MIB:.1f} MiB"


async def test_a_client_that_pipelines_and_never_reads_is_not_served_without_end_i12() -> None:
    """Once nothing more fits between the two, the application is not asked again."""
    answered = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal answered
        await reply(send, bytes(_MIB))
        answered += 1

    async with serving(application) as server:
        async with server.connected(receive_buffer_bytes=4096) as client:
            await client.send(get() * 50)
            await asyncio.sleep(0.3)
            assert answered < 20
        await server.until_idle()


@pytest.mark.parametrize("last", [get("/1", "Connection: close"), get("/1", version="1.0")])
async def test_s39_a_request_after_the_last_one_is_not_run(last: bytes) -> None:
    """And the ones before it are, in one write with it."""
    run: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        run.append(scope["path"])
        await tell(scope, receive, send)

    async with serving(application) as server, server.connected() as client:
        await client.send(get("/0") + last + _CANARY)
        assert (await client.answer()).body == b"GET /0? "
        answer = await client.answer()
        assert (answer.body, answer.is_last) == (b"GET /1? ", True)
        await client.expect_end()
    assert run == ["/0", "/1"]


async def test_an_answer_that_says_close_is_the_last_one_s39() -> None:
    run: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        run.append(scope["path"])
        await reply(send, b"", (b"connection", b"close"))

    async with serving(application) as server, server.connected() as client:
        await client.send(get("/0") + _CANARY)
        assert (await client.answer()).is_last
        await client.expect_end()
    assert run == ["/0"]


async def test_what_stands_before_garbage_is_answered_and_the_garbage_is_400() -> None:
    """However the bytes are split: the requests before it were asked in good order."""
    async with serving(tell) as server, server.connected() as client:
        await client.send(get("/0") + get("/1") + b"\x00garbage\r\n\r\n" + _CANARY)
        assert [(await client.answer()).body for _ in range(2)] == [b"GET /0? ", b"GET /1? "]
        refused = await client.answer()
        assert (refused.status, refused.is_last) == (400, True)
        await client.expect_end()


@pytest.mark.parametrize("protocol", list(_UPGRADES))
@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("pieces", [1, 7, 100_000])
async def test_s39_a_body_of_a_request_for_another_protocol_is_a_body(
    protocol: str, is_chunked: bool, pieces: int
) -> None:
    """It reaches the application whole, is never run, and the next request follows where it ends."""
    run: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        run.append(scope["path"])
        await tell(scope, receive, send)

    body = _CANARY * 3
    lines = _UPGRADES[protocol]
    request = chunked([body[:50], body[50:]], "/up", *lines) if is_chunked else post(body, "/up", *lines)
    everything = request + post(b"rest", "/next")
    size = -(-len(everything) // min(pieces, len(everything)))
    async with serving(application) as server, server.connected() as client:
        for start in range(0, len(everything), size):
            await client.send(everything[start : start + size])
            await asyncio.sleep(0)
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, b"POST /up? " + body)
        assert (await client.answer()).body == b"POST /next? rest"
    assert run == ["/up", "/next"]


async def test_a_request_for_another_protocol_without_a_body_is_answered_in_this_one() -> None:
    async with serving(tell) as server, server.connected() as client:
        await client.send(get("/up", *_UPGRADES["h2c"]) + get("/next"))
        assert [(await client.answer()).body for _ in range(2)] == [b"GET /up? ", b"GET /next? "]


async def test_f41_thousands_of_requests_for_another_protocol_in_one_write_are_answered() -> None:
    """None of them makes the connection's code go deeper into itself."""
    request = get("/", "Connection: upgrade", "Upgrade: a")
    async with serving(tell) as server, server.connected() as client:
        await client.send(request * 2000)
        statuses = [(await client.answer()).status for _ in range(2000)]
    assert statuses == [200] * 2000


async def test_s39_connect_is_refused_and_what_follows_is_not_run() -> None:
    run: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        run.append(scope["path"])
        await tell(scope, receive, send)

    async with serving(application) as server, server.connected() as client:
        await client.send(get("other.example:443", method="CONNECT") + _CANARY)
        answer = await client.answer()
        assert (answer.status, answer.is_last) == (405, True)
        await client.expect_end()
    assert run == []


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://other.example/a/b?c=d", b"/a/b", b"c=d"),
        ("http://other.example", b"/", b""),
        ("http://other.example?c=/d", b"/", b"c=/d"),
        ("http://other.example/?c=http://e/f", b"/", b"c=http://e/f"),
        ("/a?b=http://c/d", b"/a", b"b=http://c/d"),
        ("/a%2Fb?", b"/a%2Fb", b""),
    ],
)
async def test_s39_a_target_means_what_a_proxy_before_us_takes_it_for(
    target: str, path: bytes, query: bytes
) -> None:
    """A slash in a query begins no path: who guards paths in front of us has seen another one."""
    async with serving(tell) as server:
        answer = await server.ask(get(target))
    assert answer.body == b"GET %b?%b " % (path, query)


async def test_s39_a_large_body_does_not_count_as_head_of_the_next_request() -> None:
    """Both may arrive in one piece, and the second head may be unfinished in it."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        await reply(send, b"%d" % len(body or b""))

    async with serving(application) as server, server.connected() as client:
        everything = post(bytes(200 * 1024)) + get("/next")
        connection = await server.the_connection()
        give(connection, everything[:-10])  # as much as the event loop reads at once
        assert (await client.answer()).body == b"204800"
        await client.send(everything[-10:])
        assert (await client.answer()).status == 200


async def test_i12_of_a_request_that_waits_no_body_is_held() -> None:
    """However many of them a client sends while it has its first one take long: TCP stops it."""
    gate = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        body = await read_body(receive)
        await reply(send, b"%d" % len(body or b""))

    body = bytes(500 * 1024)
    async with serving(application) as server, server.connected() as client:
        tracemalloc.start()
        try:
            sending = asyncio.create_task(_send_bodies(client, body, 64))
            await asyncio.sleep(0.4)
            held_bytes = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        gate.set()
        bodies = [(await client.answer()).body for _ in range(65)]
        await sending
    assert bodies == [b"0", *[b"512000"] * 64]
    assert held_bytes < 2 * _MIB, f"{held_bytes / _MIB:.1f} MiB"


async def _send_bodies(client: Client, body: bytes, count: int) -> None:
    await client.send(get())
    for _ in range(count):
        await client.send(post(body))


async def test_i12_thousands_of_requests_behind_a_chunked_body_wait_in_little_memory() -> None:
    """They are taken apart in one go with the end of that body, since nobody can tell where it is."""
    gate = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await tell(scope, receive, send)

    async with serving(application) as server, server.connected() as client:
        connection = await server.the_connection()
        give(connection, get("/", "Transfer-Encoding: chunked", method="PUT") + b"4\r\n")
        tracemalloc.start()
        try:
            give(connection, b"body\r\n0\r\n\r\n" + b"GET / HTTP/1.1\r\n\r\n" * 3600)
            held_bytes = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        gate.set()
        bodies = [(await client.answer()).body for _ in range(3601)]
    assert bodies == [b"PUT /? body", *[b"GET /? "] * 3600]
    assert held_bytes < 2 * _MIB, f"{held_bytes / _MIB:.1f} MiB"
