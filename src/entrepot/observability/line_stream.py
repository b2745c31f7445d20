"""Writes whole lines to the one stream of a process's log, in the order in which they were given."""

from __future__ import annotations

import asyncio
import threading
from typing import BinaryIO, final

__all__ = ["LineStream"]

_MAX_WAITING_LINES = 256
_WAIT_SECONDS = 0.01
"""For whoever reads a log as good as at once; under load a write then has a hundred lines where a turn has eight."""


@final
class LineStream:
    """Takes lines from any thread; a lost stream must not fail the request that logs.

    A line is in the kernel's hands when :meth:`write` returns. :meth:`write_soon` lets lines wait for ten milliseconds,
    so that the requests answered in them share one system call. Whatever is written takes those that wait along, ahead
    of itself: order is kept, and an error or a crash leaves none behind. `kill -9` loses the lines of that time; who
    ends a process otherwise calls :meth:`flush`.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Write a line now."""
        with self._lock:
            self._waiting.append(line)
            self._write_waiting()

    def write_soon(self, line: bytes) -> None:
        """Write a line a moment later, by the running event loop."""
        with self._lock:
            self._waiting.append(line)
            count = len(self._waiting)
            if count >= _MAX_WAITING_LINES:
                self._write_waiting()
        if count == 1:
            asyncio.get_running_loop().call_later(_WAIT_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            if self._waiting:
                self._write_waiting()

    def _write_waiting(self) -> None:
        lines, self._waiting = self._waiting, []
        lines.append(b"")
        try:
            self._stream.write(b"\n".join(lines))
            self._stream.flush()
        except (OSError, ValueError):  # a closed pipe, a full disk, a closed file: nowhere left to say so
            return
