"""The end of a listener: what is under way is finished, what is idle ends, and nothing is left (`stop`)."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import ssl
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.http1.connection import Connection
from entrepot.http1.listener import Listener
from entrepot.http1.options import TlsOptions
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.certificates import make_certificate, unverified_context
from tests.processes.http1_serving import (
    get,
    message_of,
    open_descriptors,
    reply,
    serving,
    tell,
    until_descriptors,
)

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.http1.exchange import Exchange
    from entrepot.kernel.asgi import Receive, Scope, Send
    from tests.processes.http1_serving import Client, Serving

_MIB: Final = 1 << 20
_CONTENT: Final = random.Random(7).randbytes(_MIB) * 4
_SOON_SECONDS: Final = 3.0
"""A process has five to let go of its clients."""


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> TlsOptions | None:
    """With TLS and without."""
    return None if request.param == "plain" else TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")


async def _take_slowly(client: Client, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        piece = await client.receive(512 * 1024)
        if not piece:
            break
        received += piece
        await asyncio.sleep(0)
    return bytes(received)


async def test_a_file_on_its_way_to_a_slow_reader_is_finished_first(
    tmp_path: Path, tls: TlsOptions | None
) -> None:
    """And the connection ends with it, although the client would have kept it."""
    path = tmp_path / "file"
    path.write_bytes(_CONTENT)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message_of("response.start", status=200))
        await send(message_of("response.pathsend", path=str(path)))

    async with (
        serving(application, tls=tls, header_timeout_seconds=30, send_buffer_bytes=64 * 1024) as server,
        server.connected(receive_buffer_bytes=64 * 1024) as client,
    ):
        await client.send(get())
        head = await client.receive(300)
        stopping = asyncio.create_task(server.listener.stop())
        await asyncio.sleep(0.1)
        assert not stopping.done()
        body = head.partition(b"\r\n\r\n")[2]
        body += await _take_slowly(client, len(_CONTENT) - len(body))
        assert body == _CONTENT
        assert await client.read_to_end() == b""
        await client.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await stopping


@pytest.mark.parametrize("asks_for", ["/file", "/answer", "/nothing more"])
async def test_f40_who_takes_nothing_is_let_go_of_when_the_time_is_over(
    tmp_path: Path, tls: TlsOptions | None, asks_for: str
) -> None:
    """A process that went on to wait would be killed with what only its memory holds, notes for the audit log (I11)."""
    (tmp_path / "file").write_bytes(_CONTENT)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/file":
            await send(message_of("response.start", status=200))
            await send(message_of("response.pathsend", path=str(tmp_path / "file")))
        else:
            await reply(send, bytes(60_000 if scope["path"] == "/answer" else 1))

    def ask(port: int) -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        if tls is not None:
            client = unverified_context().wrap_socket(client)
        client.sendall(get(asks_for.replace(" ", "-")))
        assert client.recv(1)  # and says nothing more, not even goodbye
        return client

    before = open_descriptors()
    async with serving(application, tls=tls, send_buffer_bytes=4096) as server:
        with await asyncio.to_thread(ask, server.port):
            await _stop_and_part(server)
    await until_descriptors(before)


async def test_f40_a_handshake_that_does_not_go_on_is_ended_when_the_time_is_over(tmp_path: Path) -> None:
    options = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")
    async with serving(tell, tls=options, header_timeout_seconds=30) as server:
        with await asyncio.to_thread(socket.create_connection, ("127.0.0.1", server.port)):
            await _stop_and_part(server)


async def _stop_and_part(server: Serving) -> None:
    """Stop, with the time for it over at once; it has to end soon after."""
    await asyncio.sleep(0.2)
    stopping = asyncio.create_task(server.listener.stop())
    await asyncio.sleep(0.2)
    server.listener.part()
    async with asyncio.timeout(_SOON_SECONDS):
        await stopping


async def test_idle_connections_end_at_once(tls: TlsOptions | None) -> None:
    async with serving(tell, tls=tls, header_timeout_seconds=30) as server, server.connected() as client:
        await client.send(get())
        await client.answer()
        async with server.connected() as silent:
            await silent.send(b"GET / HT")
            await asyncio.sleep(0.05)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.gather(server.listener.stop(), client.read_to_end(), silent.read_to_any_end())


async def test_an_answer_before_the_end_of_a_long_body_is_not_lost_to_the_end_of_the_listener() -> None:
    """The connection waits for the rest of that body, which nobody asks for; a reset would overtake the answer."""
    content = _CONTENT[:20_000]
    begun = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await send(message_of("response.start", status=200, headers=[(b"content-length", b"20000")]))
        await send(message_of("response.body", body=content))

    async with (
        serving(application, send_buffer_bytes=16 * 1024) as server,
        server.connected(receive_buffer_bytes=8 * 1024) as client,
    ):
        await client.send(get("/", f"Content-Length: {64 * _MIB}", method="PUT"))
        await begun.wait()
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(server.listener.stop())
        for _ in range(20):
            await client.send(bytes(16 * 1024))
            await asyncio.sleep(0.005)
        assert (await client.answer()).body == content
        await client.expect_end()
        await client.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await stopping


async def test_requests_that_wait_in_line_are_answered_before_the_end_or_visibly_not() -> None:
    """The answer that says close is the last, and every answer before it is whole."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05)
        await tell(scope, receive, send)

    async with serving(application, header_timeout_seconds=30) as server, server.connected() as client:
        await client.send(get("/0") + get("/1") + get("/2"))
        assert not (await client.answer()).is_last
        async with asyncio.timeout(PATIENCE_SECONDS):
            stopping = asyncio.create_task(server.listener.stop())
            answers = [await client.answer()]
            while not answers[-1].is_last:
                answers.append(await client.answer())
            await client.expect_end()
            await client.close()
            await stopping
    assert [answer.body for answer in answers] == [b"GET /1? ", b"GET /2? "][: len(answers)]


async def test_a_client_that_leaves_while_it_stops_leaves_no_request_running(tmp_path: Path) -> None:
    """A handshake was under way, its request comes late, and its client is gone: the application is waited for."""
    is_over = False
    begun = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal is_over
        begun.set()
        await asyncio.sleep(0.3)
        is_over = True
        await tell(scope, receive, send)

    options = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")
    async with serving(application, tls=options, header_timeout_seconds=30) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while not server.listener._open_count:  # noqa: ASYNC110  # which tells nobody
            await asyncio.sleep(0.005)
        stopping = asyncio.create_task(server.listener.stop())
        await asyncio.sleep(0.05)
        await writer.start_tls(unverified_context(), server_hostname="localhost")
        writer.write(get())
        await begun.wait()
        writer.transport.abort()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await stopping
        assert is_over
        assert reader is not None


async def test_a_request_that_was_cancelled_before_it_began_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing of it ran, so that it could not say that it is over."""
    begun = asyncio.Event()
    begin_exchange = Listener.begin_exchange

    def begin_and_cancel(listener: Listener, exchange: Exchange) -> None:
        begin_exchange(listener, exchange)
        assert listener._exchanges[exchange].cancel()
        begun.set()

    monkeypatch.setattr(Listener, "begin_exchange", begin_and_cancel)
    async with serving(tell, header_timeout_seconds=30) as server:
        async with server.connected() as client:
            await client.send(get())
            await begun.wait()
            stopping = asyncio.create_task(server.listener.stop())
            client.reset()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await stopping
        assert not server.listener._exchanges


@pytest.mark.parametrize("is_broken", [False, True])
async def test_exceptions_and_clients_that_left_are_nobodys_complaint(is_broken: bool) -> None:
    """Whatever happens to a request, asyncio finds no exception that was not looked at; `serving` counts them."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message_of("response.start", status=200))
        for _ in range(10):
            await send(message_of("response.body", body=bytes(65536), more_body=True))
        if is_broken:
            raise RuntimeError("broken by a test")
        await send(message_of("response.body"))

    async with serving(application) as server:
        for _ in range(2):
            async with server.connected() as client:
                await client.send(get())
                await client.receive(100)
                client.reset()
        await server.until_idle()


async def test_tls_clients_of_http_1_0_that_leave_within_an_answer_are_nobodys_complaint(
    tmp_path: Path,
) -> None:
    """The answer is to end by a reset, and there is no socket any more."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message_of("response.start", status=200))
        await send(message_of("response.body", body=b"part", more_body=True))
        while (await receive())["type"] != "http.disconnect":
            pass

    options = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")
    async with serving(application, tls=options) as server:
        for _ in range(4):
            async with server.connected() as client:
                await client.send(get(version="1.0"))
                await client.receive()
        await server.until_idle()
        gc.collect()


async def test_tls_clients_that_misbehave_are_nobodys_complaint(tmp_path: Path) -> None:
    options = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.3")
    old = unverified_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(tell, tls=options) as server:
        for data in (b"", b"\x16", b"GET / HTTP/1.1\r\n\r\n", bytes(1000)):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(data)
            await asyncio.sleep(0.02)
            writer.transport.abort()
            assert reader is not None
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=old)
        assert (await server.ask(get("/well"))).body == b"GET /well? "
        await server.until_idle()


async def test_f40_ending_many_requests_takes_no_look_at_all_connections_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With thousands of them the looks alone would take minutes."""
    count, looks = 150, 0
    gate = asyncio.Event()
    waiting = 0
    end_if_idle = Connection.end_if_idle

    def counting(connection: Connection) -> None:
        nonlocal looks
        looks += 1
        end_if_idle(connection)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal waiting
        waiting += 1
        turns = waiting
        await gate.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        await tell(scope, receive, send)

    monkeypatch.setattr(Connection, "end_if_idle", counting)
    async with serving(application) as server:
        asking = [asyncio.create_task(server.ask(get())) for _ in range(count)]
        while waiting < count:  # noqa: ASYNC110  # clients connect in their own time
            await asyncio.sleep(0.01)
        stopping = asyncio.create_task(server.listener.stop())
        await asyncio.sleep(0)
        gate.set()
        assert {answer.status for answer in await asyncio.gather(*asking)} == {200}
        await stopping
    assert looks < 10 * count
