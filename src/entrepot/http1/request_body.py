"""The body of one request, between the parser that finds its pieces and the application that asks for them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

__all__ = ["RequestBody"]

_MOST_BYTES: Final = 512 * 1024
"""What is kept for an application that is busy; then nothing is read, and TCP stops the client."""
_PIECE_BYTES: Final = 64
"""What a piece costs beside its content: a client may send chunks of a byte each."""


class RequestBody:
    """Pieces that have arrived and were not asked for yet. Belongs to one event loop.

    Attributes:
        has_ended: whether the last piece has arrived.
        is_broken: whether it will not go on: the client left, or sent what is no body.
    """

    __slots__ = ("_discards", "_pieces", "_size", "_waiter", "has_ended", "is_broken")

    def __init__(self) -> None:
        self._pieces: deque[bytes] | None = None  # most requests have no body, and many can wait
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._discards = False
        self.has_ended = False
        self.is_broken = False

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be read for now."""
        return self._size >= _MOST_BYTES

    @property
    def has_pieces(self) -> bool:
        """Whether a piece is there to be taken."""
        return bool(self._pieces)

    @property
    def has_stopped(self) -> bool:
        """Whether no further piece will arrive."""
        return self.has_ended or self.is_broken

    def feed(self, piece: bytes) -> None:
        """Take what has arrived."""
        if self._discards:
            return
        if self._pieces is None:
            self._pieces = deque()
        self._pieces.append(piece)
        self._size += len(piece) + _PIECE_BYTES
        self.wake()

    def end(self) -> None:
        """Note that all has arrived."""
        self.has_ended = True
        if self._waiter is not None:
            self.wake()

    def break_off(self) -> None:
        """Note that nothing more will arrive."""
        self.is_broken = True
        if self._waiter is not None:
            self.wake()

    def discard(self) -> None:
        """Forget what has arrived and what will: nobody asks for it any more."""
        self._discards = True
        self._pieces = None
        self._size = 0

    def take(self) -> bytes:
        """Return the oldest piece, empty when there is none."""
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        self._size -= len(piece) + _PIECE_BYTES
        return piece

    def move_to(self, pieces: list[bytes]) -> int:
        """Append all pieces to a list, and return what they cost in memory; at least their bytes."""
        if not self._pieces:
            return 0
        pieces += self._pieces
        self._pieces.clear()
        size, self._size = self._size, 0
        return size

    async def changed(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until a piece, the end or the break has come."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            waiter = self._waiter = loop.create_future()
        await asyncio.shield(waiter)  # whoever gives up waiting does so for nobody else

    def wake(self) -> None:
        """Let go on whoever waits for a change."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        self._waiter = None
