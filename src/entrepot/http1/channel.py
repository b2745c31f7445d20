"""The way to one client: what is sent on it, how its client is slowed down, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import math
import os
import struct
import sys
import termios
from socket import (
    AF_INET,
    IPPROTO_TCP,
    SHUT_RDWR,
    SO_LINGER,
    SO_RCVBUF,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_INFO,
    fromfd,
)
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

    from entrepot.http1.file_sending import FileSender, OpenFile

__all__ = ["Channel"]

_LINGER_SECONDS: Final = 5.0
"""How long a client is listened to that was answered before it had sent all: a reset would take the answer from it."""
_CLOSING_SECONDS: Final = 30.0
"""How long TLS may take to say goodbye, once the client has taken all that it was sent."""
_PIECE_BYTES: Final = 512 * 1024
"""Of a file that has to be encrypted."""
_AHEAD_BYTES: Final = 128 * 1024
"""A client of which the kernel holds so much is ahead."""
_LARGE_BYTES: Final = 64 * 1024
"""So much is not sent before it has been looked whether the client is still there."""
_CLOSE_WAIT: Final = 8
"""The state of TCP (tcp(7), TCP_INFO) once the client has said that it will send nothing more."""
_UNWANTED_BYTES: Final = 64 * 1024
"""Of a client that has been told goodbye."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER, on, for no time (socket(7))."""
_LEFT: Final = frozenset(
    (
        *(errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ESHUTDOWN, errno.ENOTCONN),
        *(errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN),
    )
)
"""What a socket says of a client that is not there any more; of a file it says other things."""


class _NoTransport(asyncio.Transport):
    """Stands for one that has ended."""

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        pass


_NO_TRANSPORT: Final = _NoTransport()


class Channel:
    """A transport of the event loop, and what has to be known of it. Belongs to one connection.

    Attributes:
        deadline: when to end the connection, in the loop's time.
        files: what opens, reads and sends files.
        has_heard_all: whether the client has said that it will send nothing more.
        is_congested: whether the client does not keep up with what it is sent.
        is_ending: whether it is to be closed, so that nothing more that comes is of interest.
        is_lost: whether there is nobody on the other side any more.
        is_near: whether the client runs on this machine, as far as is known.
        is_paused: whether nothing is read from it for now.
        scheme: `https` when the client speaks TLS to this server, else `http`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, files: FileSender, scheme: str) -> None:
        """Stand for a connection that is being made."""
        self.deadline = math.inf
        self.files = files
        self.has_heard_all = False
        self.is_congested = False
        self.is_ending = False
        self.is_lost = False
        self.is_near = False
        self.is_paused = False
        self.scheme = scheme
        self._loop = loop
        self._drained: asyncio.Future[None] | None = None
        self._is_resting = False
        self._is_silent = False
        self._sending = -1

    # What the event loop tells.

    def open(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, before anything else is called."""
        self._transport = cast("asyncio.Transport", transport)
        self._socket: TransportSocket = transport.get_extra_info("socket")

    def lose(self) -> None:
        """Tell whoever waits for the client that it is gone."""
        self.is_lost = True
        self.deadline = math.inf
        self._end_sending()
        self.relieve()
        self._transport = _NO_TRANSPORT  # TLS holds who holds it: 30 KiB, until the garbage collector comes

    def relieve(self) -> None:
        """Let senders go on, or end: the client has taken what it was sent."""
        self.is_congested = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
        if self.is_ending:
            self._loop.call_soon(self._close)  # closed here, the loop would end it once more

    # Sending.

    @property
    def is_gone(self) -> bool:
        """Whether what is sent goes nowhere; TLS ends in both directions at once."""
        return self.is_lost or self._transport.is_closing() or (self.has_heard_all and self.scheme == "https")

    def write(self, data: bytes | bytearray) -> None:
        """Send, or drop what nobody would get."""
        if self.scheme == "https" and len(data) >= _LARGE_BYTES:
            self._notice_end()
        if not self.is_gone:
            self._transport.write(data)

    def _notice_end(self) -> None:
        """Hear of TCP's end under TLS, behind which the event loop drops what is sent, without a word to anybody.

        It tells of the connection's loss when the client has taken what it was sent before, which may be never. While
        nothing is read it has not heard of the end either, and goes on to send.
        """
        if not (self.is_gone or self.is_paused):
            with contextlib.suppress(OSError, ValueError):  # or all of it has ended
                state = self._socket.getsockopt(IPPROTO_TCP, TCP_INFO, 1)[0]
                self.has_heard_all = state == _CLOSE_WAIT

    async def drained(self) -> None:
        """Wait until the client has taken what it was sent, or left."""
        while self.is_congested and not self.is_lost:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    async def send_file(self, file: OpenFile) -> None:
        """Send a whole file.

        Raises:
            OSError: it can't be read.
        """
        if self.scheme == "https":
            await self._encrypt_file(file)
            return
        if not self.is_gone:  # what has ended takes no limits
            self._transport.set_write_buffer_limits(high=0)
        await self.drained()
        if self.is_gone:
            return
        self._transport.set_write_buffer_limits()
        self._sending = socket = self.duplicate()
        try:
            await self.files.send(file, socket, is_near=self.is_near)
        except OSError as error:
            if error.errno not in _LEFT:
                raise
            self._transport.abort()  # as with all that is sent to nobody
        finally:
            self._sending = -1
            os.close(socket)

    def _end_sending(self) -> None:
        """Have nothing more of a file sent: its descriptor keeps the connection open behind the event loop's."""
        if self._sending >= 0:
            with contextlib.suppress(OSError), fromfd(self._sending, AF_INET, SOCK_STREAM) as same:
                same.shutdown(SHUT_RDWR)

    async def _encrypt_file(self, file: OpenFile) -> None:
        offset = 0
        while offset < file.size_bytes and not self.is_gone:
            piece = await self.files.read(file, offset, min(_PIECE_BYTES, file.size_bytes - offset))
            self.write(piece)
            offset += len(piece)
            if self.is_congested:
                await self.drained()
            else:
                await asyncio.sleep(0)  # others have their turn, however much the client takes

    # Listening.

    def unread_bytes(self) -> int:
        """Return how much the kernel holds of what the client has sent (tcp(7), SIOCINQ)."""
        descriptor = self._socket.fileno()
        if descriptor < 0:
            return 0
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)

    def duplicate(self) -> int:
        """Return another descriptor of the socket, which stays valid whatever becomes of this one.

        Raises:
            OSError: there is none left.
        """
        return os.dup(self._socket.fileno())

    def pause_reading(self) -> None:
        """Have TCP stop the client.

        With TLS, the event loop would go on to read from the socket, and once it has found the end there it drops
        whatever is sent, without a word to anybody.
        """
        self._is_resting = False
        if not self.is_paused and not self._transport.is_closing():
            self.is_paused = True
            self._transport.pause_reading()
            if self.scheme == "https":
                self._keep_from_socket()
                self._loop.call_soon(self._keep_from_socket)

    def _keep_from_socket(self) -> None:
        """Have the event loop read nothing from the socket under TLS.

        A limit of nothing does it, but is one that is passed in both directions: each look at it, and there is one more
        after what was just read, turns reading off or on again. So it is set once more when that is over, and anew.
        """
        if self.is_paused and not self._transport.is_closing():
            transport = cast("Any", self._transport)
            transport.set_read_buffer_limits()
            transport.set_read_buffer_limits(high=0)

    def resume_reading(self) -> None:
        """Let the client go on; going on also tells when it leaves."""
        if self.is_paused and not self._transport.is_closing():
            self.is_paused = self._is_resting = False
            if self.scheme == "https":
                cast("Any", self._transport).set_read_buffer_limits()
            self._transport.resume_reading()

    def let_others_go_first(self) -> None:
        """Read on in the next turn of the event loop, if the client is ahead: libuv reads up to 32 times in a row."""
        if not self.is_paused and self.unread_bytes() >= _AHEAD_BYTES:
            self.pause_reading()
            self._is_resting = True
            self._loop.call_soon(self._end_rest)

    def _end_rest(self) -> None:
        if self._is_resting:
            self.resume_reading()

    # Ending.

    def end(self, *, is_silent: bool) -> None:
        """Close it once the client has taken what it was sent; `is_silent` where it is known to be sending nothing."""
        self.is_ending, self._is_silent = True, is_silent
        self.deadline = math.inf
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(high=1, low=0)
        if not self.is_congested:
            self._close()

    def break_off(self, *, by_reset: bool) -> None:
        """End it so that the client can't take what it has got for all there was.

        A reset says so, and takes from the client what it has not read yet. Where the answer said where it would end,
        the client keeps that and can ask for the rest.
        """
        if by_reset:
            self._set_option(SO_LINGER, _RESET)
        self._transport.abort()

    def expire(self) -> None:
        """Cut off a client whose time to take the end has passed; with TLS, not while it still takes something."""
        if self.scheme == "https" and self._is_taking():
            self.deadline = self._loop.time() + _CLOSING_SECONDS
        else:
            self._transport.abort()

    def _close(self) -> None:
        """Close it; listen a while to a client that may still be sending: a reset would cost it the answer."""
        if self.is_lost:
            return
        self.resume_reading()  # also TLS has a last word to hear
        if self._is_silent or self.has_heard_all:
            self.deadline = self._loop.time() + _CLOSING_SECONDS
            if not self._transport.is_closing():  # closed twice, TLS forgets what `abort` has to reach
                self._transport.close()
                self._keep_little()
            return
        self.deadline = self._loop.time() + _LINGER_SECONDS
        if self._transport.can_write_eof():
            with contextlib.suppress(OSError):  # a reset has come meanwhile, which reading will find
                self._transport.write_eof()

    def _keep_little(self) -> None:
        """Have the kernel keep less than is read at once: what comes behind TLS's goodbye is read out of our sight."""
        if self.scheme == "https":
            self._set_option(SO_RCVBUF, _UNWANTED_BYTES)

    def _set_option(self, name: int, value: int | bytes) -> None:
        """Set an option of the socket (socket(7)), if there is one: TLS tells of its end a turn of the loop later."""
        with contextlib.suppress(OSError, ValueError):
            self._socket.setsockopt(SOL_SOCKET, name, value)

    def _is_taking(self) -> bool:
        """Whether the kernel still holds something for the client; it ends those that take nothing (tcp(7), SIOCOUTQ).

        What the event loop holds besides, encrypted and out of our sight, would be lost with the connection.
        """
        descriptor = self._socket.fileno()
        return descriptor >= 0 and any(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))
