"""A listener inside the test's own event loop, and clients that see each byte and each reset of what it sends.

The clients read answers by a grammar of their own, stricter than most clients have: whatever is no answer fails a test.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entrepot.http1.listener import Listener
from entrepot.http1.options import ListenerOptions, TlsOptions
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.certificates import unverified_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from entrepot.http1.connection import Connection
    from entrepot.kernel.asgi import Application, Receive, Scope, Send

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\x20-\x7e]*")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x20-\x7e]*)")
_SIZE: Final = re.compile(rb"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, as a client has read it."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether it announces the end of the connection."""
        return self.fields.get(b"connection") == b"close"


class NoAnswerError(Exception):
    """The connection ended within an answer, or before one; or what came is none."""


class Client:
    """One plain connection. Closes itself at the end of `connected`."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._loop = asyncio.get_running_loop()
        self._unread = b""

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self.socket, data)

    async def receive(self, most: int = 65536) -> bytes:
        """Return what comes next, nothing at the end.

        Raises:
            ConnectionResetError: the server has thrown the connection away.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._loop.sock_recv(self.socket, most)

    async def read_to_end(self) -> bytes:
        """Return all that comes until the server ends the connection in order.

        Raises:
            ConnectionResetError: it has thrown it away instead.
        """
        received = bytearray(self._unread)
        self._unread = b""
        while piece := await self.receive():
            received += piece
        return bytes(received)

    async def read_to_any_end(self) -> bytes:
        """Return all that comes until the connection ends in whatever way."""
        received = bytearray(self._unread)
        self._unread = b""
        with contextlib.suppress(ConnectionError):
            while piece := await self.receive():
                received += piece
        return bytes(received)

    async def answer(self, method: str = "GET") -> Answered:
        """Read one answer to a request of this method; what follows is left for the next.

        Raises:
            NoAnswerError: as described there.
        """
        head = await self._through(b"\r\n\r\n")
        lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        found = _STATUS_LINE.fullmatch(lines[0])
        if found is None:
            raise NoAnswerError(f"no status line: {lines[0][:200]!r}")
        status, fields = int(found[1]), dict(_parse_field(line) for line in lines[1:])
        if len(fields) != len(lines) - 1:
            raise NoAnswerError(f"a field twice: {head!r}")
        if method == "HEAD" or status in (204, 304) or status < 200:
            return Answered(status, fields, b"")
        return Answered(status, fields, await self._body(fields))

    async def expect_end(self) -> None:
        """Require that the server ends the connection in order, and sends nothing more."""
        rest = await self.read_to_end()
        assert rest == b"", rest[:300]

    def finish(self) -> None:
        """Tell the server that nothing more will be sent; go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave at once, as a process that is killed with unread data does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def close(self) -> None:
        """Leave in order."""
        self.socket.close()

    async def _body(self, fields: dict[bytes, bytes]) -> bytes:
        coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
        if coding is not None:
            if coding != b"chunked" or length is not None:
                raise NoAnswerError(f"framed twice: {fields}")
            return await self._chunks()
        if length is not None:
            return await self._exactly(int(length))
        if fields.get(b"connection") != b"close":
            raise NoAnswerError(f"an answer without an end: {fields}")
        return await self.read_to_end()

    async def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            size_line = (await self._through(b"\r\n")).removesuffix(b"\r\n")
            if not _SIZE.fullmatch(size_line):
                raise NoAnswerError(f"no size of a chunk: {size_line[:100]!r}")
            chunk = await self._exactly(int(size_line, 16))
            if await self._exactly(2) != b"\r\n":
                raise NoAnswerError("a chunk without its end")
            if not chunk:
                return bytes(body)
            body += chunk

    async def _through(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            await self._more()
        found, _, self._unread = self._unread.partition(mark)
        return found + mark

    async def _exactly(self, size: int) -> bytes:
        pieces, missing = [self._unread[:size]], size - len(self._unread)
        self._unread = self._unread[size:]
        while missing > 0:
            piece = await self._piece(sum(map(len, pieces)))
            pieces.append(piece[:missing])
            self._unread = piece[missing:]
            missing -= len(piece)
        return b"".join(pieces)

    async def _more(self) -> None:
        self._unread += await self._piece(len(self._unread))

    async def _piece(self, had: int) -> bytes:
        try:
            piece = await self.receive(1 << 20)
        except ConnectionError as error:
            raise NoAnswerError(f"reset after {had} bytes") from error
        if not piece:
            raise NoAnswerError(f"the end after {had} bytes: {self._unread[:200]!r}")
        return piece


class TlsClient(Client):
    """One connection with TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(writer.get_extra_info("socket"))
        self._reader, self.writer = reader, writer

    def finish(self) -> None:
        """Tell TCP, and not TLS, that nothing more will be sent."""
        with socket.socket(fileno=os.dup(self.socket.fileno())) as same:
            same.shutdown(socket.SHUT_WR)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self, most: int = 65536) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.read(most)

    def reset(self) -> None:
        transport = self.writer.transport
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    async def close(self) -> None:
        self.writer.transport.abort()


def _parse_field(line: bytes) -> tuple[bytes, bytes]:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise NoAnswerError(f"no field: {line[:200]!r}")
    return found[1].lower(), found[2]


@dataclass(slots=True)
class Serving:
    """A listener that serves, its port, and what the event loop and its log had to complain about."""

    listener: Listener
    port: int
    is_tls: bool
    is_far: bool = False
    complaints: list[str] = field(default_factory=list[str])

    @contextlib.asynccontextmanager
    async def connected(self, *, receive_buffer_bytes: int | None = None) -> AsyncIterator[Client]:
        """A client; with a small buffer it takes little that it does not ask for."""
        raw = socket.socket()
        if receive_buffer_bytes is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        raw.setblocking(False)
        if self.is_far:
            raw.bind(("127.0.0.2", 0))
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.port))
        if self.is_tls:
            reader, writer = await asyncio.open_connection(
                sock=raw, ssl=unverified_context(), server_hostname="localhost"
            )
            client: Client = TlsClient(reader, writer)
        else:
            client = Client(raw)
        try:
            yield client
        finally:
            await client.close()

    async def ask(self, request: bytes, method: str = "GET") -> Answered:
        """Send a request over a connection of its own; return its answer."""
        async with self.connected() as client:
            await client.send(request)
            return await client.answer(method)

    async def the_connection(self) -> Connection:
        """Wait for the only connection to stand, and return it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.listener.connections:  # noqa: ASYNC110  # which tell nobody
                await asyncio.sleep(0.005)
        (connection,) = self.listener.connections
        return connection

    async def until_idle(self) -> None:
        """Wait until no connection and no request is left."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.listener._exchanges or self.listener._open_count:  # noqa: ASYNC110  # which tell nobody
                await asyncio.sleep(0.005)


class _Complaints(logging.Handler):
    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        self._found.append(record.getMessage())


@contextlib.contextmanager
def _collected(found: list[str]) -> Iterator[None]:
    """Take down what asyncio logs: exceptions that nobody has seen, tasks that were destroyed, writes to nobody."""
    handler, logger = _Complaints(found), logging.getLogger("asyncio")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextlib.asynccontextmanager
async def serving(
    application: Application,
    *,
    max_connections: int = 200,
    header_timeout_seconds: float = 30,
    tls: TlsOptions | None = None,
    send_buffer_bytes: int | None = None,
    is_far: bool = False,
) -> AsyncIterator[Serving]:
    """Serve until the end of the block; then nothing may be left: no task, no connection, and no complaint.

    Clients that are `is_far` come from another address, as from another machine.
    """
    tasks_before = asyncio.all_tasks()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    if send_buffer_bytes is not None:  # what is accepted has it too
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
    port: int = listening.getsockname()[1]
    listener = Listener(
        application, listening.detach(), ListenerOptions(max_connections, header_timeout_seconds, tls)
    )
    running = Serving(listener, port, is_tls=tls is not None, is_far=is_far)
    with _collected(running.complaints):
        listener.start()
        try:
            yield running
        finally:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await listener.stop()
            for _ in range(5):
                await asyncio.sleep(0)
        left = (
            asyncio.all_tasks() - tasks_before - {asyncio.current_task()}
        )  # fixtures end in another than they began
        assert not left, left
        assert not running.complaints, running.complaints


def open_descriptors() -> int:
    """How many descriptors this process has, but for the one that libuv puts aside with its first connection."""
    found = [path for path in Path("/proc/self/fd").iterdir() if path.exists()]
    return sum(not path.samefile(os.devnull) for path in found)


def give(connection: Connection, data: bytes) -> None:
    """Hand a connection what the event loop would have read at once."""
    size = len(data)
    connection.get_buffer(size)[:size] = data
    connection.buffer_updated(size)


async def until_descriptors(most: int) -> None:
    """Wait until this process has no more descriptors than before."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_SECONDS
    while open_descriptors() > most and loop.time() < end:  # noqa: ASYNC110  # the kernel tells nobody
        await asyncio.sleep(0.01)
    assert open_descriptors() <= most


async def read_body(receive: Receive) -> bytes | None:
    """Return the whole body, `None` when the client left before its end."""
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


async def reply(
    send: Send, body: bytes, *fields: tuple[bytes, bytes], status: int = 200, length: int | None = None
) -> None:
    """Send an answer of a known length."""
    size = len(body) if length is None else length
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", b"%d" % size), *fields],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request: method, target, and the whole body."""
    body = await read_body(receive)
    if body is None:
        return
    told = b"%b %b?%b %b" % (scope["method"].encode(), scope["raw_path"], scope["query_string"], body)
    await reply(send, told)


def get(path: str = "/", *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    return "\r\n".join((f"{method} {path} HTTP/{version}", "Host: x", *lines, "", "")).encode("latin-1")


def post(body: bytes, path: str = "/", *lines: str) -> bytes:
    """A request with a body of a known length."""
    return get(path, f"Content-Length: {len(body)}", *lines, method="POST") + body


def chunked(pieces: list[bytes], path: str = "/", *lines: str) -> bytes:
    """A request with a body in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
    return get(path, "Transfer-Encoding: chunked", *lines, method="POST") + body


def message_of(kind: str, **facts: Any) -> dict[str, Any]:
    """An ASGI message."""
    return {"type": f"http.{kind}", **facts}
