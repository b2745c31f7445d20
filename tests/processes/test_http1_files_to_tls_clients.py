"""Files on their way to clients with TLS that leave, or are slow: nothing is read and encrypted for nobody (I12)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.http1.options import TlsOptions
from tests.processes.certificates import make_certificate, unverified_context
from tests.processes.http1_files import content_of, serve_from
from tests.processes.http1_serving import (
    get,
    message_of,
    reply,
    serving,
)

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from entrepot.kernel.asgi import Receive, Scope, Send

_MIB: Final = 1 << 20
_BIG: Final = 20 * _MIB
_SMALL_BUFFER: Final = 16 * 1024
_LEAST_BUFFER: Final = 4 * 1024


def _count_read_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what grows by the size of each read of a file, whether it waits for the disk or not."""
    sizes: list[int] = []
    pread, preadv = os.pread, os.preadv

    def counting_pread(descriptor: int, size: int, offset: int) -> bytes:
        sizes.append(size)
        return pread(descriptor, size, offset)

    def counting_preadv(descriptor: int, buffers: list[bytearray], offset: int, flags: int = 0) -> int:
        sizes.append(sum(map(len, buffers)))
        return preadv(descriptor, buffers, offset, flags)

    monkeypatch.setattr(os, "pread", counting_pread)
    monkeypatch.setattr(os, "preadv", counting_preadv)
    return sizes


def _make_empty(path: Path, size: int) -> None:
    """Make a file of zeros that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)


async def test_i12_a_tls_client_that_says_goodbye_in_the_middle_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the file is not read and encrypted for nobody."""
    options = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")
    _make_empty(tmp_path / "huge", 200 * _MIB)
    read_bytes = _count_read_bytes(monkeypatch)
    async with serving(serve_from(tmp_path), tls=options) as server:
        async with server.connected(receive_buffer_bytes=_SMALL_BUFFER) as client:
            await client.send(get("/huge"))
            await client.receive(1000)
            client.writer.close()  # type: ignore[attr-defined]  # a client with TLS
            await asyncio.sleep(0.3)
        await server.until_idle()
    assert 0 < sum(read_bytes) < 50 * _MIB


@pytest.mark.parametrize("pieces", [1, 3])
async def test_i12_a_tls_client_that_hangs_up_behind_waiting_requests_has_no_file_read_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    """Nothing is read from it meanwhile; were its end read all the same, all that is sent would go nowhere.

    Of one piece all has been decrypted when its end comes, and of more not.
    """
    options = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")
    _make_empty(tmp_path / "endless", 500 * _MIB)
    read_bytes = _count_read_bytes(monkeypatch)
    async with serving(serve_from(tmp_path), tls=options) as server:
        async with server.connected(receive_buffer_bytes=_SMALL_BUFFER) as client:
            await client.send(get("/endless"))
            await client.receive(1000)
            for _ in range(pieces):  # more than may wait taken apart
                await client.send(get("/endless") * 500)
                await asyncio.sleep(0.05)
            client.finish()
            taken = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    while taken < 4 * _MIB and (piece := await client.receive(_MIB)):
                        taken += len(piece)
            await asyncio.sleep(0.3)
        await server.until_idle()
    assert 0 < sum(read_bytes) < 16 * _MIB


@pytest.mark.parametrize("way", ["file", "pieces"])
async def test_i12_nothing_is_fetched_for_a_tls_client_that_hangs_up_before_it_has_taken_the_answer_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The event loop drops what is sent, and tells nobody before the client has taken that, which it never does."""
    options = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")
    _make_empty(tmp_path / "endless", 500 * _MIB)
    fetched = _count_read_bytes(monkeypatch)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/before":
            await reply(send, bytes(50_000))
            return
        await asyncio.sleep(0.1)  # a store takes its time
        fields = [(b"content-length", b"%d" % (500 * _MIB))]
        await send(message_of("response.start", status=200, headers=fields))
        if way == "file":
            await send(message_of("response.pathsend", path=str(tmp_path / "endless")))
            return
        await receive()
        leaving = asyncio.ensure_future(receive())
        while not leaving.done():
            fetched.append(_MIB)
            await send(message_of("response.body", body=bytes(_MIB), more_body=True))
            await asyncio.sleep(0)

    def hang_up(port: int) -> ssl.SSLSocket:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LEAST_BUFFER)
        raw.connect(("127.0.0.1", port))
        client = unverified_context().wrap_socket(raw)
        client.sendall(get("/before"))
        time.sleep(0.2)  # by now a rest of it waits in the event loop
        client.sendall(get("/endless"))
        client.shutdown(socket.SHUT_WR)
        return client

    async with serving(application, tls=options, send_buffer_bytes=_LEAST_BUFFER) as server:
        with await asyncio.to_thread(hang_up, server.port):
            await asyncio.sleep(0.5)
        await server.until_idle()
    assert sum(fetched) < 16 * _MIB


async def test_a_tls_client_that_is_slow_to_take_the_last_bytes_gets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is being closed meanwhile, for longer than a goodbye may take."""
    monkeypatch.setattr("entrepot.http1.channel._CLOSING_SECONDS", 0.1)
    size = 768 * 1024
    (tmp_path / "file").write_bytes(content_of(size))
    options = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2")
    async with (
        serving(
            serve_from(tmp_path), tls=options, header_timeout_seconds=0.4, send_buffer_bytes=64 * 1024
        ) as server,
        server.connected(receive_buffer_bytes=_SMALL_BUFFER) as client,
    ):
        client.writer.transport.set_read_buffer_limits(high=8192)  # type: ignore[attr-defined]  # one with TLS
        await client.send(get("/file", "Connection: close"))
        received = bytearray()
        while piece := await client.receive(32 * 1024):
            received += piece
            await asyncio.sleep(0.04)
    assert received.partition(b"\r\n\r\n")[2] == content_of(size)
