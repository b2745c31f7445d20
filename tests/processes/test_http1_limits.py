"""What one listener lets clients have: connections, time, lengths; and what it does without descriptors (F41, F10)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.http1.connection import Connection
from entrepot.http1.options import TlsOptions
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.certificates import make_certificate, unverified_context
from tests.processes.http1_serving import chunked, get, give, post, read_body, reply, serving, tell

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Receive, Scope, Send
    from tests.processes.http1_serving import Client

_KIB: Final = 1024


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsOptions:
    """A certificate for localhost."""
    return TlsOptions(*make_certificate(tmp_path_factory.mktemp("tls"), "localhost"), "1.2")


async def test_f41_the_connection_beyond_the_limit_is_served_when_another_ends() -> None:
    async with serving(tell, max_connections=3) as server:
        async with server.connected() as first, server.connected(), server.connected():
            await asyncio.sleep(0.05)
            async with server.connected() as beyond:
                await beyond.send(get("/beyond"))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await beyond.receive()
                assert server.listener._open_count == 3
                await first.close()
                assert (await beyond.answer()).body == b"GET /beyond? "
        await server.until_idle()


async def test_f41_many_more_clients_than_places_are_all_served() -> None:
    most = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal most
        most = max(most, len(server.listener.connections))
        await asyncio.sleep(0.001)
        await tell(scope, receive, send)

    async with serving(application, max_connections=5) as server:
        answers = await asyncio.gather(*(server.ask(get(f"/{n}", "Connection: close")) for n in range(200)))
    assert [answer.body for answer in answers] == [b"GET /%d? " % number for number in range(200)]
    assert most <= 5


async def test_f41_handshakes_that_never_end_give_their_places_back(tls: TlsOptions) -> None:
    """They count as connections, and end with the time for a head."""
    async with serving(tell, max_connections=3, header_timeout_seconds=0.5, tls=tls) as server:
        holders = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        holders[0][1].write(b"\x16\x03\x01")  # the beginning of a handshake
        holders[1][1].write(b"GET / HTTP/1.1\r\n\r\n")  # none at all: ends at once
        async with asyncio.timeout(PATIENCE_SECONDS):
            for reader, _ in (holders[0], holders[2]):
                assert await reader.read() == b""
        assert (await server.ask(get("/well"))).body == b"GET /well? "
        for _, writer in holders:
            writer.close()
        await server.until_idle()


async def test_f41_a_tls_client_that_does_not_say_goodbye_is_not_waited_for(
    tls: TlsOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrepot.http1.channel._CLOSING_SECONDS", 0.2)

    def ask(connection: socket.socket) -> bytes:
        connection.sendall(get("/", "Connection: close"))
        return connection.recv(1000)

    async with serving(tell, tls=tls, header_timeout_seconds=8) as server:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as plain:
            connection = await asyncio.to_thread(unverified_context().wrap_socket, plain)
            assert (await asyncio.to_thread(ask, connection)).startswith(b"HTTP/1.1 200 ")
            await server.until_idle()
            connection.close()


async def test_f41_a_tls_client_that_is_slow_and_says_no_goodbye_is_not_waited_for(
    tls: TlsOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the last bytes of its answer nor the server's own goodbye fit into a buffer at once."""
    monkeypatch.setattr("entrepot.http1.channel._CLOSING_SECONDS", 0.2)
    size = 520_000

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(size // 20_000):
            await send({"type": "http.response.body", "body": bytes(20_000), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def ask(connection: ssl.SSLSocket) -> int:
        connection.sendall(get("/", "Connection: close", version="1.0"))
        time.sleep(0.1)  # for everything between the two to be full
        taken = 0
        while taken < size and (piece := connection.recv(4096)):
            taken += len(piece)
        return taken

    async with serving(application, tls=tls, header_timeout_seconds=8, send_buffer_bytes=16_384) as server:
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            plain.settimeout(PATIENCE_SECONDS)
            await asyncio.to_thread(plain.connect, ("127.0.0.1", server.port))
            connection = await asyncio.to_thread(unverified_context().wrap_socket, plain)
            assert await asyncio.to_thread(ask, connection) >= size
            await server.until_idle()
            connection.close()


@pytest.mark.parametrize("sent", [b"", b"G", b"\r\n", get()[:-2], get() + b"GET"])
async def test_f41_idle_connections_and_unfinished_heads_end(sent: bytes) -> None:
    async with serving(tell, header_timeout_seconds=0.3) as server, server.connected() as client:
        await client.send(sent)
        async with asyncio.timeout(PATIENCE_SECONDS):
            received = await client.read_to_end()
    assert (b"HTTP/1.1 408 " in received) == (sent not in {b"", b"\r\n"})


async def test_f41_dribbled_bytes_buy_no_time() -> None:
    """Neither those of a head nor empty lines before it."""
    async with serving(tell, header_timeout_seconds=0.4) as server, server.connected() as client:
        with pytest.raises(ConnectionError):
            await _repeat(client, b"\r\n", 1000, 0.02)


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 431), (5000, 431)])
async def test_f41_a_head_has_at_most_a_hundred_fields(count: int, status: int) -> None:
    fields = [f"X-{number}: a" for number in range(count - 1)]
    async with serving(tell) as server, server.connected() as client:
        await client.send(get("/", *fields) + get("/canary"))
        assert (await client.answer()).status == status
        if status != 200:
            await client.expect_end()


@pytest.mark.parametrize(
    ("target_bytes", "status"), [(8_192, 200), (8_193, 414), (100 * _KIB, 414), (900 * _KIB, 414)]
)
@pytest.mark.parametrize("is_whole", [True, False])
async def test_s36_f41_a_target_has_at_most_8_kib(target_bytes: int, status: int, is_whole: bool) -> None:
    async with serving(tell) as server, server.connected() as client:
        request = get("/" + "a" * (target_bytes - 1))
        for start in range(0, len(request), len(request) if is_whole else 10_000):
            await client.send(request[start : start + (len(request) if is_whole else 10_000)])
            await asyncio.sleep(0)
        assert (await client.answer()).status == status


@pytest.mark.parametrize(("head_kib", "status"), [(120, 200), (140, 431), (250, 431), (1000, 431)])
@pytest.mark.parametrize("piece_kib", [1024, 16])
async def test_s36_a_head_has_at_most_128_kib_however_it_arrives(
    head_kib: int, status: int, piece_kib: int
) -> None:
    request = get("/", f"X-Padding: {'a' * (head_kib * _KIB)}")
    async with serving(tell) as server, server.connected() as client:
        connection = await server.the_connection()
        most = min(piece_kib, 256) * _KIB  # more is never read at once
        for start in range(0, len(request), most):
            give(connection, request[start : start + most])
        assert (await client.answer()).status == status


@pytest.mark.parametrize(("digits", "status"), [(19, 200), (20, 400), (5000, 400)])
async def test_s39_a_length_has_few_digits_and_more_are_400(digits: int, status: int) -> None:
    """The parser takes zeros before a length without end; of thousands of them Python makes no number."""
    async with serving(tell) as server, server.connected() as client:
        await client.send(get("/", f"Content-Length: {'4'.rjust(digits, '0')}", method="POST") + b"body")
        assert (await client.answer()).status == status


@pytest.mark.parametrize(("version", "coding"), [("1.1", "gzip, chunked"), ("1.0", "chunked")])
@pytest.mark.parametrize("name", ["Transfer-Encoding", "transfer-encoding"])
async def test_s39_a_coding_that_a_proxy_may_understand_otherwise_is_400(
    version: str, coding: str, name: str
) -> None:
    request = get("/", f"{name}: {coding}", method="POST", version=version) + b"4\r\nbody\r\n0\r\n\r\n"
    async with serving(tell) as server, server.connected() as client:
        await client.send(request)
        assert (await client.answer()).status == 400


async def test_s36_too_many_fields_are_refused_before_their_head_ends() -> None:
    """What goes on after them would cost a look at all of them for each byte."""
    async with serving(tell) as server, server.connected() as client:
        await client.send(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 101 + b"b")
        assert (await client.answer()).status == 431


@pytest.mark.parametrize("part", ["extension", "trailer value", "trailer name", "trailers"])
async def test_i12_what_is_no_body_in_a_body_has_an_end(part: str) -> None:
    """Extensions and trailers are held in memory by the parser, if nobody stops it."""
    begin, more = {
        "extension": (b"1;", b"a" * 65_536),
        "trailer value": (b"0\r\nX: ", b"a" * 65_536),
        "trailer name": (b"0\r\n", b"a" * 65_536),
        "trailers": (b"0\r\n", b"X: a\r\n" * 11_000),
    }[part]

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if await read_body(receive) is not None:
            await reply(send, b"")

    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", "Transfer-Encoding: chunked", method="PUT") + begin)
        with pytest.raises(ConnectionError):
            await _repeat(client, more, 160, 0.002)


async def test_small_extensions_and_trailers_are_taken() -> None:
    async with serving(tell) as server, server.connected() as client:
        await client.send(get("/", "Transfer-Encoding: chunked", method="PUT"))
        await client.send(b"4;a=b;c\r\nbody\r\n0\r\nX-Trailer: c\r\n\r\n" + get("/next"))
        assert (await client.answer()).body == b"PUT /? body"
        assert (await client.answer()).body == b"GET /next? "


async def test_ten_thousand_chunks_are_no_extensions() -> None:
    async with serving(tell) as server, server.connected() as client:
        await client.send(chunked([b"x"] * 10_000))
        assert (await client.answer()).body == b"POST /? " + b"x" * 10_000


async def test_heads_of_many_requests_at_once_are_no_framing_of_a_body() -> None:
    """Of a client that pipelines there may never be a moment between two requests."""
    count = 3000
    async with serving(tell) as server, server.connected() as client:
        sending = asyncio.create_task(client.send(post(b"12345", "/", "X-Filler: " + "a" * 60) * count))
        for _ in range(count):
            assert (await client.answer()).body == b"POST /? 12345"
        await sending


_NOBODY_TAKES: Final = {
    "an unwanted body": (get("/", "Content-Length: 999999999999", method="PUT"), bytes(1024 * _KIB)),
    "behind the last answer": (get("/", "Connection: close", method="PUT"), bytes(1024 * _KIB)),
    "behind what is no request": (get("/slow") + b"no request\r\n\r\n", bytes(1024 * _KIB)),
    "empty lines": (b"", b"\r\n" * 512 * _KIB),
}


@pytest.mark.parametrize("what", _NOBODY_TAKES)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_f41_what_nobody_takes_holds_nobody_up(
    tls: TlsOptions, monkeypatch: pytest.MonkeyPatch, scheme: str, what: str
) -> None:
    """Of a client that sends as fast as it is read libuv would read 8 MiB, and then of the next, while all wait."""
    is_over = threading.Event()
    reads = _count_reads(monkeypatch, is_over)

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        while scope["path"] == "/slow" and not is_over.is_set():  # noqa: ASYNC110  # set by a thread
            await asyncio.sleep(0.01)
        await reply(send, b"", status=401)

    async with serving(refuse, tls=tls if scheme == "https" else None) as server:
        flood = asyncio.create_task(
            asyncio.to_thread(_flood, server.port, scheme, *_NOBODY_TAKES[what], is_over)
        )
        for _ in range(5):
            await asyncio.sleep(0.1)
            time.sleep(0.05)  # noqa: ASYNC251  # so much more comes meanwhile than is read at once
        is_over.set()
        await flood
        await server.until_idle()
    assert max(reads.values()) <= 4


async def test_f41_a_body_in_the_smallest_records_of_tls_holds_nobody_up(
    tls: TlsOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a call and there are ten thousand in a buffer, of which so little is left that no body is ever full."""
    begun, is_over = threading.Event(), threading.Event()
    reads = _count_reads(monkeypatch, is_over)

    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(take, tls=tls) as server:
        sending = asyncio.create_task(asyncio.to_thread(_send_smallest_records, server.port, begun))
        await asyncio.to_thread(begun.wait)
        while not sending.done():
            time.sleep(0.05)  # noqa: ASYNC251  # so much more comes meanwhile than is read at once
            await asyncio.sleep(0.05)
        await server.until_idle()
        is_over.set()
    assert max(reads.values()) <= 4


async def test_f41_behind_the_goodbye_of_tls_no_more_is_kept_than_is_read_at_once(tls: TlsOptions) -> None:
    """The event loop reads it for itself, 32 times in a row if there is so much, and throws it away."""

    def ask() -> None:
        client.sendall(get("/", "Connection: close"))
        assert client.recv(_KIB).startswith(b"HTTP/1.1 200 ")  # and says no goodbye

    async with serving(tell, tls=tls) as server:
        raw = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", server.port))
        with unverified_context().wrap_socket(raw, do_handshake_on_connect=False) as client:
            await asyncio.to_thread(client.do_handshake)
            kept = (await server.the_connection()).channel._wire._socket
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * _KIB)
            await asyncio.to_thread(ask)
            most_bytes = kept.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            assert most_bytes < len(server.listener.read_buffer)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_i12_a_connection_that_has_ended_waits_for_no_garbage_collector(
    tls: TlsOptions, scheme: str
) -> None:
    """It makes so few objects that the collector would come after many thousands of them, of tens of KiB each."""
    gc.disable()
    try:
        async with serving(tell, tls=tls if scheme == "https" else None) as server:
            async with server.connected() as client:
                await client.send(get())
                await client.answer()
                connection = weakref.ref(await server.the_connection())
            await server.until_idle()
            for _ in range(5):
                await asyncio.sleep(0)
            assert connection() is None
    finally:
        gc.enable()


def _count_reads(monkeypatch: pytest.MonkeyPatch, is_over: threading.Event) -> Counter[int]:
    """Count what is read of all clients in each turn of the event loop, until it is over."""
    reads, turn, real = Counter[int](), 0, Connection.buffer_updated

    def count(connection: Connection, nbytes: int) -> None:
        if not is_over.is_set():
            reads[turn] += 1
        real(connection, nbytes)

    def begin_turn() -> None:
        nonlocal turn
        turn += 1
        if not is_over.is_set():
            asyncio.get_running_loop().call_soon(begin_turn)

    monkeypatch.setattr(Connection, "buffer_updated", count)
    begin_turn()
    return reads


def _flood(port: int, scheme: str, head: bytes, more: bytes, is_over: threading.Event) -> None:
    with contextlib.ExitStack() as resources:
        client = resources.enter_context(socket.create_connection(("127.0.0.1", port)))
        if scheme == "https":
            client = resources.enter_context(unverified_context().wrap_socket(client))
        with contextlib.suppress(OSError):
            client.sendall(head)
            while not is_over.is_set():
                client.sendall(more)


def _send_smallest_records(port: int, begun: threading.Event) -> None:
    arrived, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = unverified_context().wrap_bio(arrived, sent)
    with socket.create_connection(("127.0.0.1", port)) as client:
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                session.do_handshake()
                break
            client.sendall(sent.read())
            arrived.write(client.recv(64 * _KIB))
        session.write(get("/", "Content-Length: 999999999999", method="PUT"))
        for _ in range(200_000):
            session.write(b"x")
        begun.set()
        client.sendall(sent.read())


async def _repeat(client: Client, data: bytes, times: int, pause_seconds: float) -> None:
    for _ in range(times):
        await client.send(data)
        await asyncio.sleep(pause_seconds)


_STARVED: Final = """
import asyncio, json, resource, sys, time, uvloop
from tests.processes.http1_serving import get, serving, tell

async def main():
    async with serving(tell) as server:
        assert (await server.ask(get("/first", "Connection: close"))).status == 200
        await server.until_idle()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        print(server.port, flush=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # which are taken
        await asyncio.to_thread(sys.stdin.readline)
        held = server.listener._open_count
        cpu = time.process_time()
        await asyncio.sleep(0.6)
        cpu = time.process_time() - cpu
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await asyncio.to_thread(sys.stdin.readline)
        await server.until_idle()
    print(json.dumps({"held": held, "cpu": cpu}), flush=True)

uvloop.run(main())
"""


async def test_f10_without_descriptors_connections_wait_and_are_served_afterwards() -> None:
    """A process of its own with a limit of the kernel's: it takes nothing, does not spin, and recovers."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _STARVED, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        port = int(await child.stdout.readline())
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in clients:
            writer.write(get("/waited", "Connection: close"))
        await asyncio.sleep(0.1)
        child.stdin.write(b"\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            answers = await asyncio.gather(*(reader.read() for reader, _ in clients))
        for _, writer in clients:
            writer.close()
        child.stdin.write(b"\n")
        output, errors = await asyncio.wait_for(child.communicate(), PATIENCE_SECONDS)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0, errors.decode()
    *complaints, last = output.decode().splitlines()
    found = json.loads(last)
    assert all(answer.endswith(b"GET /waited? ") for answer in answers)
    assert ["connections.postponed" in line for line in complaints] == [True], "told once, not at each try"
    assert found["held"] == 0
    assert found["cpu"] < 0.15, "it spins while it has no descriptor"


def test_the_limit_of_descriptors_is_one_that_can_be_lowered() -> None:
    """The test above would prove nothing with a soft limit that is the least there is."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64
