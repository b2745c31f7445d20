"""An upload that takes its time, so that something may happen to the server meanwhile."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from tests.plumbing.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    import ssl

    from tests.processes.running import RunningRegistry


class SlowUpload:
    """A PUT whose body a test sends piece by piece on one connection."""

    def __init__(self, registry: RunningRegistry, size_bytes: int, tls: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", registry.port), timeout=PATIENCE_SECONDS)
        registry.close_at_the_end(plain)
        self._socket = tls.wrap_socket(plain) if tls is not None else plain
        registry.close_at_the_end(self._socket)
        self._left_bytes = size_bytes
        self._socket.sendall(
            f"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {size_bytes}\r\n\r\n".encode()
        )

    def send(self, size_bytes: int) -> None:
        """Send a piece."""
        self._socket.sendall(b"x" * size_bytes)
        self._left_bytes -= size_bytes

    def send_for(self, seconds: float) -> None:
        """Send in ten pieces per second for so long, keeping the last byte back."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(min(1000, self._left_bytes - 1))
            time.sleep(0.1)

    def finish(self) -> bytes:
        """Send what is left and return the answer up to the end of the connection or its first 4 KiB."""
        self.send(self._left_bytes)
        answer = self._socket.recv(4096)
        self._socket.close()
        return answer

    def abort(self) -> None:
        """Close the connection in the middle."""
        self._socket.close()
