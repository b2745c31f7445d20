"""Large bodies, read from the socket and taken apart on threads, which also do with them what the application wants.

On the event loop each quarter of a mebibyte is an event, and all of them are handed to a thread in the end, by when the
processor's cache has lost them. Here the event loop has no part in the bytes: a quarter less processor time for a push
(docs/decisions/0045-bodies-on-threads.md). It is for clients that send faster than they are listened to: for any other
a change of threads would cost more than it spares.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from entrepot.http1.threads import WorkThreads, ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.http1.request_body import RequestBody
    from entrepot.http1.request_parser import RequestParser
    from entrepot.kernel.chunks import ChunkSink

__all__ = ["BodyThreads"]

_THREADS: Final = 16
"""At most; they are started on demand. Each keeps a buffer, and may hold a step of a body."""
_PARSED_BYTES: Final = 256 * 1024
"""Read at once where it has to be parsed: it stays in the processor's cache until then."""
_STEP_BYTES: Final = 1024 * 1024
"""Given to the sink at once: file systems take larger writes for less."""
_TURN_BYTES: Final = 16 * 1024 * 1024
"""After so much another body has its turn, even if the client keeps up."""
_TURN_SECONDS: Final = 0.05
"""After so long, too: bodies of tiny chunks cost far more than their bytes."""


class BodyThreads:
    """The threads, for all connections of one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = WorkThreads(_THREADS, "body-reader")
        self._buffers = threading.local()

    def close(self) -> None:
        """End the threads once they have nothing more to do."""
        self._threads.shutdown(wait=False)

    async def read(self, descriptor: int, parser: RequestParser, body: RequestBody, sink: ChunkSink) -> int:
        """Read on a thread for a turn, or as long as there is something; return how many bytes the sink got.

        `descriptor` is that of a non-blocking socket, and nobody else's. Nobody else may use parser and body meanwhile.
        Nothing is read where no thread can be started. Cancelled, it ends with the step that a thread is in.

        Raises:
            Exception: what the sink raises.
        """
        turn = _Turn(descriptor, parser, body, sink)
        try:
            future = self._threads.submit(self._take, turn)
        except (RuntimeError, MemoryError):
            return 0
        work = asyncio.wrap_future(future, loop=self._loop)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            turn.is_given_up = True
            if not future.cancel():  # a thread has begun
                await ended(work)
            raise

    def _take(self, turn: _Turn) -> int:
        return turn.take(self._buffer())

    def _buffer(self) -> memoryview:
        try:
            buffer: memoryview = self._buffers.view
        except AttributeError:
            buffer = self._buffers.view = memoryview(bytearray(_STEP_BYTES))
        return buffer


class _Turn:
    """What one thread does for one body.

    Attributes:
        is_given_up: whether nobody waits for it any more; set by the event loop.
    """

    def __init__(self, descriptor: int, parser: RequestParser, body: RequestBody, sink: ChunkSink) -> None:
        self._descriptor = descriptor
        self._parser = parser
        self._body = body
        self._sink = sink
        self._count = 0
        self._is_dry = False
        self._is_giving = False
        self._ends_at = 0.0
        self.is_given_up = False

    def take(self, buffer: memoryview) -> int:
        """Take what there is, first what the event loop has read; return how many bytes the sink got."""
        try:
            self._take_steps(buffer)
        except BaseException:
            if not self._is_giving:
                self._parser.lose()
            raise
        return self._count

    def _take_steps(self, buffer: memoryview) -> None:
        pieces: list[bytes] = []
        self._body.move_to(pieces)
        if pieces:
            self._give(pieces)
        step = self._count_step if self._parser.count_body() else self._parse_step
        self._ends_at = time.monotonic() + _TURN_SECONDS
        while self._count < _TURN_BYTES and self._goes_on:
            step(buffer)

    @property
    def _goes_on(self) -> bool:
        is_over = self.is_given_up or time.monotonic() >= self._ends_at
        return not (is_over or self._is_dry or self._body.has_stopped)

    def _count_step(self, buffer: memoryview) -> None:
        """Read what belongs to a body of a known length, and nothing behind it; it need not be parsed."""
        size, wanted = 0, min(len(buffer), self._parser.left_bytes)
        while size < wanted and self._goes_on:
            read_bytes = self._receive(buffer[size:wanted])
            if read_bytes:  # noted at once: whatever fails from here on, the body ends where it does
                self._parser.pass_over(read_bytes)
            size += read_bytes
        if size:
            self._give((buffer[:size],))

    def _parse_step(self, buffer: memoryview) -> None:
        pieces: list[bytes] = []
        size = self._body.move_to(pieces)
        while size < _STEP_BYTES and self._goes_on:
            if self._parser.wants_more:
                self._parser.feed(buffer[: self._receive(buffer[:_PARSED_BYTES])])
            else:
                self._parser.feed(b"")
            size += self._body.move_to(pieces)
        if pieces:
            self._give(pieces)

    def _receive(self, buffer: memoryview) -> int:
        read_bytes = _receive(self._descriptor, buffer)
        self._is_dry = not read_bytes
        return read_bytes

    def _give(self, pieces: Sequence[bytes | memoryview]) -> None:
        self._is_giving = True
        self._sink(pieces)
        self._is_giving = False
        self._count += sum(map(len, pieces))


def _receive(descriptor: int, buffer: memoryview) -> int:
    """Return how many bytes were read; none where there is nothing at present, and where there will be nothing more."""
    try:
        return os.readv(descriptor, [buffer])
    except OSError:  # the event loop reads it again, and knows what to make of it
        return 0
