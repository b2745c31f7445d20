"""One connection of a client: requests one after the other, from the parser to the application and back.

Requests that are sent before the last one was answered (RFC 9112, section 9.3.2) wait, and while one waits nothing more
is taken apart: the rest waits as bytes. Between requests, and while a head is under way, the connection has a deadline;
while a request is handled it has none, since the application has its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import math
import os
import struct
import termios
from collections import deque
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from entrepot.http1.exchange import Exchange
from entrepot.http1.refusals import Refusal
from entrepot.http1.request_body import RequestBody
from entrepot.http1.request_parser import RequestParser

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

    from entrepot.http1.file_sending import FileSender, OpenFile
    from entrepot.http1.options import ListenerOptions
    from entrepot.http1.request_head import RequestHead

__all__ = ["Connection", "Server"]

_LINGER_SECONDS: Final = 5.0
"""How long a client is listened to that was answered before it had sent all: a reset would take the answer from it."""
_CLOSING_SECONDS: Final = 30.0
"""How long TLS may take to say goodbye, once the client has taken all that it was sent."""
_PIECE_BYTES: Final = 512 * 1024
"""Of a file that has to be encrypted."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER, on, for no time (socket(7))."""
_LEFT: Final = frozenset(
    (
        *(errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ESHUTDOWN, errno.ENOTCONN),
        *(errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN),
    )
)
"""What a socket says of a client that is not there any more; of a file it says other things."""


class Server(Protocol):
    """What a connection asks of whoever accepted it; implemented by the listener."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that all of it belongs to."""
        ...

    @property
    def options(self) -> ListenerOptions:
        """The limits."""
        ...

    @property
    def files(self) -> FileSender:
        """What sends files."""
        ...

    @property
    def scheme(self) -> str:
        """`https` with TLS, else `http`."""
        ...

    @property
    def read_buffer(self) -> memoryview:
        """Where what is read lies until it has been parsed, for all connections."""
        ...

    @property
    def is_closing(self) -> bool:
        """Whether answers shall ask clients to close their connections."""
        ...

    def remember(self, connection: Connection) -> None:
        """Note that a connection stands."""
        ...

    def forget(self, connection: Connection) -> None:
        """Note that a connection has ended."""
        ...

    def begin_exchange(self, exchange: Exchange) -> None:
        """Run the application for a request."""
        ...

    def end_of_head(self) -> bytes:
        """Return the line with the date, and the empty line that ends a head."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Parses requests and has them answered. Belongs to one event loop.

    Attributes:
        loop: the event loop.
        files: what sends files.
        scheme: `https` when the client speaks TLS to this server, else `http`.
        client: address and port of the client.
        server: address and port that it connected to.
        deadline: when to end it, in the loop's time.
        is_lost: whether there is nobody on the other side any more.
        is_congested: whether the client does not keep up with what it is sent.
    """

    def __init__(self, server: Server, client: object) -> None:
        """Belong to `server` from the moment at which the connection stands; `client` is its other end's name.

        The name is that which `accept` gave: a socket that was reset meanwhile has none any more, and can still hold a
        request.
        """
        self.loop = server.loop
        self.files: FileSender = server.files
        self.scheme = server.scheme
        self.client = _address(client)
        self.server: tuple[str, int] = ("", 0)
        self.deadline = math.inf
        self.is_lost = False
        self.is_congested = False
        self._server = server
        self._parser = RequestParser(self)
        self._waiting: deque[tuple[RequestHead, RequestBody]] = deque()
        self._running: Exchange | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_ending = False
        self._is_silent = False
        self._is_paused = False
        self._has_heard_all = False

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._socket: TransportSocket = transport.get_extra_info("socket")
        self.server = _address(transport.get_extra_info("sockname"))
        self._server.remember(self)
        self._await_request()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's, which reads as much as it can
        """Return where to put what is read: it is parsed before anybody else reads."""
        return self._server.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what has arrived, and begin to answer it."""
        if not self._is_ending:
            self._parser.feed(self._server.read_buffer[:nbytes])
            self._proceed()

    def eof_received(self) -> bool:
        """Answer what was asked for, and nothing more: the client will send nothing."""
        self._has_heard_all = True
        self._parser.break_off()
        if self._running is None:
            return False
        self._running.body.break_off()
        return self.scheme == "http"

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio calls it by this name
        """Tell whoever waits for the client."""
        self.is_lost = True
        self.deadline = math.inf
        self._parser.close()
        self._waiting.clear()
        if self._running is not None:
            self._running.body.break_off()
        self.resume_writing()
        self._server.forget(self)

    def pause_writing(self) -> None:
        """Have senders wait."""
        self.is_congested = True

    def resume_writing(self) -> None:
        """Let senders go on."""
        self.is_congested = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
        if self._is_ending and not self.is_lost:
            self._close()

    # What the parser asks for.

    @property
    def has_room(self) -> bool:
        """Whether no request waits for its turn; of one that does, no more of its body is taken either (I12)."""
        return not self._waiting

    def begin_request(self, head: RequestHead) -> RequestBody:
        """Put a request in line."""
        body = RequestBody()
        self._waiting.append((head, body))
        return body

    # What the exchange asks for.

    @property
    def is_closing(self) -> bool:
        """Whether no further request will be answered."""
        if self._server.is_closing:
            return True
        return (self._parser.is_cut or self._has_heard_all) and not self._waiting

    def write(self, data: bytes) -> None:
        """Send, or drop what nobody would get."""
        if not self._is_gone():
            self._transport.write(data)

    def end_of_head(self) -> bytes:
        """Return the line with the date, and the empty line that ends a head."""
        return self._server.end_of_head()

    async def drained(self) -> None:
        """Wait until the client has taken what it was sent, or left."""
        while self.is_congested and not self.is_lost:
            if self._drained is None:
                self._drained = self.loop.create_future()
            await asyncio.shield(self._drained)

    async def send_file(self, file: OpenFile) -> None:
        """Send a whole file.

        Raises:
            OSError: it can't be read.
        """
        if self.scheme == "https":
            await self._encrypt_file(file)
            return
        self._transport.set_write_buffer_limits(high=0)
        await self.drained()
        self._transport.set_write_buffer_limits()
        if self._is_gone():
            return
        socket = os.dup(self._socket.fileno())
        try:
            await self.files.send(file, socket)
        except OSError as error:
            if error.errno not in _LEFT:
                raise
            self._transport.abort()  # as with all that is sent to nobody
        finally:
            os.close(socket)

    def go_on(self) -> None:
        """Look at more of what the client sends, if there is room for it."""
        if not self.is_lost and not self._is_ending:
            self._parser.feed(b"")
            self._proceed()

    def end_exchange(self) -> None:
        """Go on to the next request, or end with this one."""
        exchange, self._running = self._running, None
        if self.is_lost or exchange is None:
            return
        if not exchange.answer.has_ended:
            self._break_off(by_reset=not exchange.answer.says_its_end)
        elif not exchange.answer.keeps_alive:
            # TLS has no way to say that there is no more but to close: it is done where nothing can be on its way.
            is_heard = exchange.body.has_ended and self._parser.refusal is None
            self._end(is_silent=is_heard and self.scheme == "https")
        elif self._has_heard_all and not self._waiting:
            self._end(is_silent=True)
        else:
            exchange.body.discard()
            self._await_request()
            self.go_on()

    # What the listener asks for.

    def expire(self) -> None:
        """End a connection whose deadline has passed."""
        if self._is_ending:
            if self.scheme == "https" and self._is_taking():
                self.deadline = self.loop.time() + _CLOSING_SECONDS
            else:
                self._transport.abort()
            return
        if self._parser.is_in_head:
            self.write(Refusal(408, "the head of the request took too long").encode())
        self._end(is_silent=True)

    def end_if_idle(self) -> None:
        """End it unless a request is being handled."""
        if self._running is None and not self._is_ending:
            self._end(is_silent=True)

    # How it goes on.

    def _proceed(self) -> None:
        if self._running is None:
            if self._waiting:
                self._begin_exchange()
            elif self._parser.refusal is not None:
                if not self._parser.is_cut:  # else what was begun has been answered
                    self.write(self._parser.refusal.encode())
                self._end(is_silent=False)
                return
        if self._parser.wants_more:  # going on also tells when the client leaves
            self._resume_reading()
        else:
            self._pause_reading()

    def _begin_exchange(self) -> None:
        head, body = self._waiting.popleft()
        self._running = exchange = Exchange(self, head, body)
        self.deadline = math.inf
        if self._has_heard_all:
            body.break_off()
        self._server.begin_exchange(exchange)
        self._parser.feed(b"")  # there may be room for what lies behind it

    def _pause_reading(self) -> None:
        """Have TCP stop the client.

        With TLS, asyncio would go on to read from the socket, and once it has found the end there it drops whatever is
        sent, without a word to anybody. A limit of nothing keeps it from the socket.
        """
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()
            if self.scheme == "https":
                cast("Any", self._transport).set_read_buffer_limits(high=0)

    def _resume_reading(self) -> None:
        if self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            if self.scheme == "https":
                cast("Any", self._transport).set_read_buffer_limits()
            self._transport.resume_reading()

    def _await_request(self) -> None:
        self.deadline = self.loop.time() + self._server.options.header_timeout_seconds

    def _break_off(self, *, by_reset: bool) -> None:
        """End it so that the client can't take what it has got for all there was.

        A reset says so, and takes from the client what it has not read yet. Where the answer said where it would end,
        the client keeps that and can ask for the rest.
        """
        if by_reset:
            with contextlib.suppress(OSError):  # TLS tells of the end a turn of the event loop after it
                self._socket.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
        self._transport.abort()

    def _is_gone(self) -> bool:
        """Whether what is sent goes nowhere; TLS ends in both directions at once."""
        return (
            self.is_lost or self._transport.is_closing() or (self._has_heard_all and self.scheme == "https")
        )

    def _end(self, *, is_silent: bool) -> None:
        """Close it once the client has taken what it was sent; `is_silent` where it is known to be sending nothing."""
        self._is_ending, self._is_silent = True, is_silent
        self.deadline = math.inf
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(high=1, low=0)
        if not self.is_congested:
            self._close()

    def _close(self) -> None:
        """Close it; listen a while to a client that may still be sending: a reset would cost it the answer."""
        self._resume_reading()  # also TLS has a last word to hear
        if self._is_silent or self._has_heard_all:
            self.deadline = self.loop.time() + _CLOSING_SECONDS
            self._transport.close()
            return
        self.deadline = self.loop.time() + _LINGER_SECONDS
        if self._transport.can_write_eof():
            with contextlib.suppress(OSError):  # a reset has come meanwhile, which reading will find
                self._transport.write_eof()

    def _is_taking(self) -> bool:
        """Whether the kernel still holds something for the client; it ends those that take nothing (tcp(7), SIOCOUTQ).

        What asyncio holds besides, encrypted and out of our sight, would be lost with the connection.
        """
        descriptor = self._socket.fileno()
        return descriptor >= 0 and any(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))

    async def _encrypt_file(self, file: OpenFile) -> None:
        offset = 0
        while offset < file.size_bytes and not self._is_gone():
            piece = await self.files.read(file, offset, min(_PIECE_BYTES, file.size_bytes - offset))
            self._transport.write(piece)
            offset += len(piece)
            if self.is_congested:
                await self.drained()
            else:
                await asyncio.sleep(0)  # others have their turn, however much the client takes


def _address(found: Any) -> tuple[str, int]:  # noqa: ANN401  # sockets of other kinds have other names
    if not isinstance(found, tuple):
        return "", 0
    host, port, *_ = cast("tuple[str, int]", found)
    return host, port
