"""What comes from a client, as far as it is let: TCP stops it when nothing is read (RFC 9293, section 3.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    import asyncio

    from entrepot.http1.wire import Wire

__all__ = ["Inflow"]

_AHEAD_BYTES: Final = 128 * 1024
"""A client of which the kernel holds so much is ahead."""


class Inflow:
    """What comes from one client.

    Attributes:
        is_paused: whether nothing is read for now.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: Wire) -> None:
        """Read what comes on `wire`."""
        self.is_paused = False
        self._loop = loop
        self._wire = wire
        self._is_resting = False

    def unread_bytes(self) -> int:
        """Return how much of it is there and has not been read."""
        return self._wire.unread_bytes()

    def pause(self) -> None:
        """Have TCP stop the client.

        With TLS, the event loop would go on to read from the socket, and once it has found the end there it drops
        whatever is sent, without a word to anybody.
        """
        self._is_resting = False
        if not self.is_paused and not self._wire.transport.is_closing():
            self.is_paused = True
            self._wire.transport.pause_reading()
            if self._wire.is_encrypted:
                self._keep_from_socket()
                self._loop.call_soon(self._keep_from_socket)

    def _keep_from_socket(self) -> None:
        """Have the event loop read nothing from the socket under TLS.

        A limit of nothing does it, but is one that is passed in both directions: each look at it, and there is one more
        after what was just read, turns reading off or on again. So it is set once more when that is over, and anew.
        """
        if self.is_paused and not self._wire.transport.is_closing():
            transport = cast("Any", self._wire.transport)
            transport.set_read_buffer_limits()
            transport.set_read_buffer_limits(high=0)

    def resume(self) -> None:
        """Let the client go on; going on also tells when it leaves."""
        if self.is_paused and not self._wire.transport.is_closing():
            self.is_paused = self._is_resting = False
            if self._wire.is_encrypted:
                cast("Any", self._wire.transport).set_read_buffer_limits()
            self._wire.transport.resume_reading()

    def let_others_go_first(self) -> None:
        """Read on in the next turn of the event loop, if the client is ahead: libuv reads up to 32 times in a row."""
        if not self.is_paused and self.unread_bytes() >= _AHEAD_BYTES:
            self.pause()
            self._is_resting = True
            self._loop.call_soon(self._end_rest)

    def _end_rest(self) -> None:
        if self._is_resting:
            self.resume()
