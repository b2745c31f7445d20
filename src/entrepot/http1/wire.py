"""A connection as the event loop and the kernel have it: the transport, its socket, and what is known of both."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import sys
import termios
from socket import IPPROTO_TCP, SO_LINGER, SO_RCVBUF, SOL_SOCKET, TCP_INFO
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

__all__ = ["Wire"]

_CLOSE_WAIT: Final = 8
"""The state of TCP (tcp(7), TCP_INFO) once the client has said that it will send nothing more."""
_UNWANTED_BYTES: Final = 64 * 1024
"""Of a client that has been told goodbye."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER, on, for no time (socket(7))."""


class _NoTransport(asyncio.Transport):
    """Stands for one that has ended."""

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        pass


_NO_TRANSPORT: Final = _NoTransport()


class Wire:
    """A transport of the event loop and its socket.

    Attributes:
        is_encrypted: whether the client speaks TLS to this server.
        transport: the event loop's.
    """

    def __init__(self, *, is_encrypted: bool) -> None:
        """Stand for a connection that is being made."""
        self.is_encrypted = is_encrypted

    def open(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, before anything else is called."""
        self.transport = cast("asyncio.Transport", transport)
        self._socket: TransportSocket = transport.get_extra_info("socket")

    def lose(self) -> None:
        """Let go of the transport, which has ended."""
        self.transport = _NO_TRANSPORT  # TLS holds who holds it: 30 KiB, until the garbage collector comes

    def duplicate(self) -> int:
        """Return another descriptor of the socket, which stays valid whatever becomes of this one.

        Raises:
            OSError: there is none left.
        """
        return os.dup(self._socket.fileno())

    def unread_bytes(self) -> int:
        """Return how much the kernel holds of what the client has sent (tcp(7), SIOCINQ)."""
        descriptor = self._socket.fileno()
        if descriptor < 0:
            return 0
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)

    def is_taking(self) -> bool:
        """Whether the kernel still holds something for the client; it ends those that take nothing (tcp(7), SIOCOUTQ).

        What the event loop holds besides, encrypted and out of our sight, would be lost with the connection.
        """
        descriptor = self._socket.fileno()
        return descriptor >= 0 and any(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))

    def has_heard_all(self) -> bool:
        """Whether TCP has heard that the client will send nothing more, though the event loop may not have."""
        with contextlib.suppress(OSError, ValueError):  # or all of it has ended
            return self._socket.getsockopt(IPPROTO_TCP, TCP_INFO, 1)[0] == _CLOSE_WAIT
        return False

    def end_by_reset(self) -> None:
        """Have the connection reset when it is closed."""
        self._set_option(SO_LINGER, _RESET)

    def keep_little(self) -> None:
        """Have the kernel keep less than is read at once: what comes behind TLS's goodbye is read out of our sight."""
        if self.is_encrypted:
            self._set_option(SO_RCVBUF, _UNWANTED_BYTES)

    def _set_option(self, name: int, value: int | bytes) -> None:
        """Set an option of the socket (socket(7)), if there is one: TLS tells of its end a turn of the loop later."""
        with contextlib.suppress(OSError, ValueError):
            self._socket.setsockopt(SOL_SOCKET, name, value)
