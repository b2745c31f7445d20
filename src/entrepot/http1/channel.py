"""The way to one client: what is sent on it, how its client is slowed down, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
from socket import AF_INET, SHUT_RDWR, SOCK_STREAM, fromfd
from typing import TYPE_CHECKING, Final

from entrepot.http1.inflow import Inflow
from entrepot.http1.wire import Wire

if TYPE_CHECKING:
    from entrepot.http1.file_sending import FileSender, OpenFile

__all__ = ["Channel"]

_LINGER_SECONDS: Final = 5.0
"""How long a client is listened to that was answered before it had sent all: a reset would take the answer from it."""
_CLOSING_SECONDS: Final = 30.0
"""How long TLS may take to say goodbye, once the client has taken all that it was sent."""
_PIECE_BYTES: Final = 512 * 1024
"""Of a file that has to be encrypted."""
_LARGE_BYTES: Final = 64 * 1024
"""So much is not sent before it has been looked whether the client is still there."""
_LEFT: Final = frozenset(
    (
        *(errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ESHUTDOWN, errno.ENOTCONN),
        *(errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN),
    )
)
"""What a socket says of a client that is not there any more; of a file it says other things."""


class Channel:
    """A transport of the event loop, and what has to be known of it. Belongs to one connection.

    Attributes:
        deadline: when to end the connection, in the loop's time.
        files: what opens, reads and sends files.
        inflow: what the client sends.
        has_heard_all: whether the client has said that it will send nothing more.
        is_congested: whether the client does not keep up with what it is sent.
        is_ending: whether it is to be closed, so that nothing more that comes is of interest.
        is_lost: whether there is nobody on the other side any more.
        is_near: whether the client runs on this machine, as far as is known.
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
        self.scheme = scheme
        self._loop = loop
        self._wire = Wire(is_encrypted=scheme == "https")
        self.inflow = Inflow(loop, self._wire)
        self._drained: asyncio.Future[None] | None = None
        self._is_silent = False
        self._sending = -1

    # What the event loop tells.

    def open(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, before anything else is called."""
        self._wire.open(transport)

    def lose(self) -> None:
        """Tell whoever waits for the client that it is gone."""
        self.is_lost = True
        self.deadline = math.inf
        self._end_sending()
        self.relieve()
        self._wire.lose()

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
        return (
            self.is_lost
            or self._wire.transport.is_closing()
            or (self.has_heard_all and self.scheme == "https")
        )

    def write(self, data: bytes | bytearray) -> None:
        """Send, or drop what nobody would get."""
        if self.scheme == "https" and len(data) >= _LARGE_BYTES:
            self._notice_end()
        if not self.is_gone:
            self._wire.transport.write(data)

    def _notice_end(self) -> None:
        """Hear of TCP's end under TLS, behind which the event loop drops what is sent, without a word to anybody.

        It tells of the connection's loss when the client has taken what it was sent before, which may be never. While
        nothing is read it has not heard of the end either, and goes on to send.
        """
        if not (self.is_gone or self.inflow.is_paused):
            self.has_heard_all = self._wire.has_heard_all()

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
            self._wire.transport.set_write_buffer_limits(high=0)
        await self.drained()
        if self.is_gone:
            return
        self._wire.transport.set_write_buffer_limits()
        self._sending = socket = self._wire.duplicate()
        try:
            await self.files.send(file, socket, is_near=self.is_near)
        except OSError as error:
            if error.errno not in _LEFT:
                raise
            self._wire.transport.abort()  # as with all that is sent to nobody
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

    def duplicate(self) -> int:
        """Return another descriptor of the socket, which stays valid whatever becomes of this one.

        Raises:
            OSError: there is none left.
        """
        return self._wire.duplicate()

    # Ending.

    def end(self, *, is_silent: bool) -> None:
        """Close it once the client has taken what it was sent; `is_silent` where it is known to be sending nothing."""
        self.is_ending, self._is_silent = True, is_silent
        self.deadline = math.inf
        if self._wire.transport.get_write_buffer_size():
            self._wire.transport.set_write_buffer_limits(high=1, low=0)
        if not self.is_congested:
            self._close()

    def break_off(self, *, by_reset: bool) -> None:
        """End it so that the client can't take what it has got for all there was.

        A reset says so, and takes from the client what it has not read yet. Where the answer said where it would end,
        the client keeps that and can ask for the rest.
        """
        if by_reset:
            self._wire.end_by_reset()
        self._wire.transport.abort()

    def expire(self) -> None:
        """Cut off a client whose time to take the end has passed; with TLS, not while it still takes something."""
        if self.scheme == "https" and self._wire.is_taking():
            self.deadline = self._loop.time() + _CLOSING_SECONDS
        else:
            self._wire.transport.abort()

    def _close(self) -> None:
        """Close it; listen a while to a client that may still be sending: a reset would cost it the answer."""
        if self.is_lost:
            return
        self.inflow.resume()  # also TLS has a last word to hear
        if self._is_silent or self.has_heard_all:
            self.deadline = self._loop.time() + _CLOSING_SECONDS
            if not self._wire.transport.is_closing():  # closed twice, TLS forgets what `abort` has to reach
                self._wire.transport.close()
                self._wire.keep_little()
            return
        self.deadline = self._loop.time() + _LINGER_SECONDS
        if self._wire.transport.can_write_eof():
            with contextlib.suppress(OSError):  # a reset has come meanwhile, which reading will find
                self._wire.transport.write_eof()
