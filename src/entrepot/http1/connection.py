"""One connection of a client: requests one after the other, from the parser to the application and back.

Requests that are sent before the last one was answered (RFC 9112, section 9.3.2) wait, and while one waits nothing more
is taken apart: the rest waits as bytes. Between requests, and while a head is under way, the connection has a deadline;
while a request is handled it has none, since the application has its own.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, cast

from entrepot.http1.channel import Channel
from entrepot.http1.exchange import Exchange
from entrepot.http1.refusals import Refusal
from entrepot.http1.request_body import RequestBody
from entrepot.http1.request_parser import RequestParser

if TYPE_CHECKING:
    from entrepot.http1.body_reading import BodyThreads
    from entrepot.http1.file_sending import FileSender
    from entrepot.http1.options import ListenerOptions
    from entrepot.http1.request_head import RequestHead

__all__ = ["Connection", "Server"]


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
    def body_threads(self) -> BodyThreads:
        """What reads large bodies."""
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

    def end_exchange(self, exchange: Exchange) -> None:
        """Note that a request has been answered, or that its answer broke."""
        ...

    def end_of_head(self) -> bytes:
        """Return the line with the date, and the empty line that ends a head."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Parses requests and has them answered. Belongs to one event loop.

    Attributes:
        loop: the event loop.
        channel: the way to the client.
        body_threads: what reads large bodies.
        client: address and port of the client.
        server: address and port that it connected to.
    """

    def __init__(self, server: Server, client: object) -> None:
        """Belong to `server` from the moment at which the connection stands; `client` is its other end's name.

        The name is that which `accept` gave: a socket that was reset meanwhile has none any more, and can still hold a
        request.
        """
        self.loop = server.loop
        self.channel = Channel(server.loop, server.files, server.scheme)
        self.body_threads = server.body_threads
        self.client = _address(client)
        self.server: tuple[str, int] = ("", 0)
        self._server = server
        self._parser = RequestParser(self)
        self._waiting: deque[tuple[RequestHead, RequestBody]] = deque()
        self._running: Exchange | None = None
        self._is_lent = False

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self.channel.open(transport)
        self.server = _address(transport.get_extra_info("sockname"))
        self.channel.is_near = self.client[0] == self.server[0]
        self._server.remember(self)
        self._await_request()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's, which reads as much as it can
        """Return where to put what is read: it is parsed before anybody else reads."""
        return self._server.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what has arrived, and begin to answer it."""
        if not self.channel.is_ending:
            self._parser.feed(self._server.read_buffer[:nbytes])
            self._proceed()
        if nbytes == len(self._server.read_buffer) or self.channel.scheme == "https":  # TLS may bring less
            self.channel.inflow.let_others_go_first()

    def eof_received(self) -> bool:
        """Answer what was asked for, and nothing more: the client will send nothing."""
        self.channel.has_heard_all = True
        self._parser.break_off()
        if self._running is None:
            return False
        self._running.body.break_off()
        return self.channel.scheme == "http"

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio calls it by this name
        """Tell whoever waits for the client."""
        self.channel.lose()
        if not self._is_lent:
            self._parser.close()
        self._waiting.clear()
        if self._running is not None:
            self._running.body.break_off()
        self._server.forget(self)

    def pause_writing(self) -> None:
        """Have senders wait."""
        self.channel.is_congested = True

    def resume_writing(self) -> None:
        """Let senders go on."""
        self.channel.relieve()

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
        return (self._parser.is_cut or self.channel.has_heard_all) and not self._waiting

    def end_of_head(self) -> bytes:
        """Return the line with the date, and the empty line that ends a head."""
        return self._server.end_of_head()

    def go_on(self) -> None:
        """Look at more of what the client sends, if there is room for it."""
        if not self.channel.is_lost and not self.channel.is_ending:
            self._parser.feed(b"")
            self._proceed()

    def lend_parser(self) -> RequestParser:
        """Read nothing more, until the parser is back."""
        self.channel.inflow.pause()
        self._is_lent = True
        return self._parser

    def take_parser_back(self) -> None:
        """Go on to read, which also finds an end that somebody else has seen."""
        self._is_lent = False
        if self.channel.is_lost:
            self._parser.close()
        else:
            self.go_on()

    def end_exchange(self) -> None:
        """Go on to the next request, or end with this one."""
        exchange, self._running = self._running, None
        if exchange is None:
            return
        self._server.end_exchange(exchange)
        channel, answer = self.channel, exchange.answer
        if channel.is_lost:
            return
        if not answer.has_ended:
            channel.break_off(by_reset=not answer.says_its_end)
        elif not answer.keeps_alive:
            # TLS has no way to say that there is no more but to close: it is done where nothing can be on its way.
            is_heard = exchange.body.has_ended and not self._waiting and not self._parser.has_rest
            channel.end(is_silent=is_heard and channel.scheme == "https")
        elif channel.has_heard_all and not self._waiting:
            channel.end(is_silent=True)
        else:
            exchange.body.discard()
            self._await_request()
            if self._waiting or self._parser.has_rest or channel.inflow.is_paused:  # else there is nothing
                self.go_on()

    # What the listener asks for.

    @property
    def deadline(self) -> float:
        """When to end it, in the loop's time."""
        return self.channel.deadline

    def expire(self) -> None:
        """End a connection whose deadline has passed."""
        if self.channel.is_ending:
            self.channel.expire()
            return
        if self._parser.is_in_head:
            self.channel.write(Refusal(408, "the head of the request took too long").encode())
        self.channel.end(is_silent=True)

    def end_if_idle(self) -> None:
        """End it unless a request is being handled."""
        if self._running is None and not self.channel.is_ending:
            # A body can still be on its way behind its answer.
            self.channel.end(is_silent=not self._parser.is_in_body)

    def part(self) -> None:
        """Let go of the client as if it had gone, unless all that it sent is here and it waits for the answer."""
        running = self._running
        if running is None:  # it has been answered, as far as it takes that, or has asked for nothing
            self.channel.break_off(by_reset=False)
        elif running.answer.has_started or not running.body.has_ended:
            self.channel.break_off(by_reset=not running.answer.says_its_end)

    # How it goes on.

    def _proceed(self) -> None:
        if self._running is None:
            if self._waiting:
                self._begin_exchange()
            elif self._parser.refusal is not None:
                if not self._parser.is_cut:  # else what was begun has been answered
                    self.channel.write(self._parser.refusal.encode())
                self.channel.end(is_silent=False)
                return
        if self._parser.wants_more:
            self.channel.inflow.resume()
        else:
            self.channel.inflow.pause()

    def _begin_exchange(self) -> None:
        head, body = self._waiting.popleft()
        self._running = exchange = Exchange(self, head, body)
        self.channel.deadline = math.inf
        if self.channel.has_heard_all:
            body.break_off()
        self._server.begin_exchange(exchange)
        self._parser.feed(b"")  # there may be room for what lies behind it

    def _await_request(self) -> None:
        self.channel.deadline = self.loop.time() + self._server.options.header_timeout_seconds


def _address(found: Any) -> tuple[str, int]:  # noqa: ANN401  # sockets of other kinds have other names
    if not isinstance(found, tuple):
        return "", 0
    host, port, *_ = cast("tuple[str, int]", found)
    return host, port
