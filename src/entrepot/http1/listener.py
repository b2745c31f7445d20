"""Accepts connections on a socket that was bound elsewhere, and ends in three steps.

`stop_accepting` leaves new connections to whoever else holds the socket, while those that were just made may send their
first request; `stop`, after a pause of the caller's choice, ends idle connections and waits for the others; `part` lets
go of those that it still waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.http1.body_reading import BodyThreads
from entrepot.http1.connection import Connection
from entrepot.http1.file_sending import FileSender

if TYPE_CHECKING:
    from entrepot.http1.exchange import Exchange
    from entrepot.http1.options import ListenerOptions
    from entrepot.kernel.asgi import Application

__all__ = ["Listener"]

_log: Any = structlog.get_logger()

_ACCEPTED_AT_ONCE: Final = 64
"""Connections that are accepted before other work has its turn."""
_READ_BYTES: Final = 256 * 1024
"""Read at once, at most."""
_WITHOUT_RESOURCES_SECONDS: Final = 0.5
"""How long nothing is accepted after the process had no descriptor or memory for another connection."""
_SHORT_OF: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_SECONDS_BETWEEN_COMPLAINTS: Final = 10.0
_LOOKS_PER_TIMEOUT: Final = 8
_SECONDS_BETWEEN_LOOKS: Final = 1.0
_GOODBYE_SECONDS: Final = 24 * 3600.0
"""Of TLS, by the event loop, which would take from slow clients what they have not got yet; connections count, too."""
_SECONDS_BETWEEN_ENDS: Final = 0.1
"""While stopping: to look at all connections at the end of each of thousands of requests would take minutes."""


class Listener:
    """Serves an ASGI application (no lifespan) over HTTP/1.1, within the running event loop.

    Attributes:
        loop: the event loop.
        options: the limits.
        files: what sends files.
        body_threads: what reads large bodies.
        scheme: `https` with TLS, else `http`.
        connections: those that stand.
        read_buffer: where what is read lies until it has been parsed; all of it happens in one turn of the event loop.
        is_closing: whether it accepts no more; answers then ask clients to close their connections.
    """

    def __init__(self, application: Application, descriptor: int, options: ListenerOptions) -> None:
        """Take over the descriptor of a listening socket.

        Raises:
            OSError: a file for TLS can't be read; ssl.SSLError: the files don't fit.
        """
        self.loop = asyncio.get_running_loop()
        self.options = options
        self.files = FileSender()
        self.body_threads = BodyThreads()
        self.scheme = "https" if options.tls is not None else "http"
        self.connections: set[Connection] = set()
        self.is_closing = False
        self.read_buffer = memoryview(bytearray(_READ_BYTES))
        self._application = application
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)  # noqa: FBT003  # takes no keyword
        self._tls = None if options.tls is None else options.tls.build_context()
        self._open_count = 0
        self._admissions: dict[asyncio.Task[None], socket.socket] = {}
        self._exchanges: dict[Exchange, asyncio.Task[None]] = {}
        self._all_gone = asyncio.Event()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._date = (0, b"")
        self._silent_until = 0.0

    def start(self) -> None:
        """Accept connections from now on."""
        self._accept_more()
        self._sweep_later()

    def stop_accepting(self) -> None:
        """Leave new connections to whoever else holds the socket; answers ask clients to close theirs from now on."""
        if not self.is_closing:
            self.is_closing = True
            self.loop.remove_reader(self._socket.fileno())

    def refuse_connections(self) -> None:
        """Have the kernel refuse new connections at once, for all who hold the socket. Only after `stop_accepting`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    async def stop(self) -> None:
        """End idle connections, and wait until requests under way are answered and their answers have been taken.

        There is no time-out: the parent has one for the whole process.
        """
        self.stop_accepting()
        self._end_idle()
        while self._exchanges or self._open_count:
            if self._exchanges:
                await asyncio.wait(self._exchanges.values(), timeout=_SECONDS_BETWEEN_ENDS)
                for exchange in [one for one, task in self._exchanges.items() if task.done()]:
                    self.end_exchange(exchange)  # which was cancelled before it began, and can't say so
                self._end_idle()
            else:
                await self._all_gone.wait()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        self.files.close()
        self.body_threads.close()
        self._socket.close()

    def part(self) -> None:
        """Let go of clients that still send or take something, as if they had gone. While `stop` is under way."""
        for client in self._admissions.values():  # a handshake of TLS is under way
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for connection in tuple(self.connections):
            connection.part()

    def _end_idle(self) -> None:
        for connection in tuple(self.connections):
            connection.end_if_idle()

    # What connections ask for.

    def begin_exchange(self, exchange: Exchange) -> None:
        """Run the application for a request."""
        # Not by a callback of the task is it taken out again: that would be another turn for each request.
        # The loop's own way to make it is a call in Python that heeds a factory of tasks, and there is none.
        self._exchanges[exchange] = asyncio.Task(exchange.run(self._application), loop=self.loop)

    def end_exchange(self, exchange: Exchange) -> None:
        """Note that a request has been answered."""
        self._exchanges.pop(exchange, None)

    def remember(self, connection: Connection) -> None:
        """Note that a connection stands."""
        self.connections.add(connection)

    def forget(self, connection: Connection) -> None:
        """Note that a connection has ended, which makes room for another one."""
        self.connections.discard(connection)
        self._leave()

    def end_of_head(self) -> bytes:
        """Return the line with the date, and the empty line that ends a head (RFC 9110, section 6.6.1)."""
        now = int(time.time())  # noqa: TID251  # the header tells this machine's time of day
        if self._date[0] != now:
            self._date = (now, b"date: %b\r\n\r\n" % formatdate(now, usegmt=True).encode("ascii"))
        return self._date[1]

    # Accepting.

    def _accept_more(self) -> None:
        if not self.is_closing and self._open_count < self.options.max_connections:
            self.loop.add_reader(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            if self._open_count >= self.options.max_connections:
                self.loop.remove_reader(self._socket.fileno())
                return
            try:
                client, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno == errno.EINVAL:  # another holder of the socket has shut it down
                    self.loop.remove_reader(self._socket.fileno())
                elif error.errno in _SHORT_OF:
                    self._accept_later(error)
                return  # anything else is the fate of one connection (accept(2), "Error handling")
            self._open_count += 1
            admission = self.loop.create_task(self._admit(client, address))
            self._admissions[admission] = client
            admission.add_done_callback(self._admissions.pop)

    def _accept_later(self, error: OSError) -> None:
        """Leave new connections to wait in the kernel a moment; each try would fail, and there is no end of them."""
        self.loop.remove_reader(self._socket.fileno())
        self.loop.call_later(_WITHOUT_RESOURCES_SECONDS, self._accept_more)
        if self.loop.time() >= self._silent_until:
            self._silent_until = self.loop.time() + _SECONDS_BETWEEN_COMPLAINTS
            _log.error("connections.postponed", reason=error.strerror, held=self._open_count)

    async def _admit(self, client: socket.socket, address: object) -> None:
        client.setblocking(False)  # noqa: FBT003  # takes no keyword
        hello, goodbye = self.options.header_timeout_seconds, _GOODBYE_SECONDS
        try:
            await self.loop.connect_accepted_socket(
                lambda: Connection(self, address),
                client,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else hello,
                ssl_shutdown_timeout=None if self._tls is None else goodbye,
            )
        except (OSError, ssl.SSLError):  # whoever it was speaks no TLS, or left
            client.close()
            self._leave()

    def _leave(self) -> None:
        self._open_count -= 1
        if self.is_closing:
            if not self._open_count:
                self._all_gone.set()
        elif self._open_count == self.options.max_connections - 1:
            self._accept_more()

    # Deadlines.

    def _sweep_later(self) -> None:
        seconds = min(_SECONDS_BETWEEN_LOOKS, self.options.header_timeout_seconds / _LOOKS_PER_TIMEOUT)
        self._sweep_timer = self.loop.call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        self._sweep_later()
        now = self.loop.time()
        for connection in [one for one in self.connections if one.deadline <= now]:
            connection.expire()
