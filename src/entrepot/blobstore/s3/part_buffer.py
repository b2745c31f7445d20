"""Collects the pieces of one part without joining them."""

from __future__ import annotations

__all__ = ["PartBuffer"]


class PartBuffer:
    """The pieces of the part that is filling, in order."""

    def __init__(self) -> None:
        self.pieces: list[bytes | memoryview] = []
        self.size_bytes = 0

    def fill(self, data: memoryview, wanted_bytes: int) -> memoryview:
        """Take from the front of `data` until `wanted_bytes` are held; return what is left of it."""
        missing = max(0, wanted_bytes - self.size_bytes)
        taken = data[:missing]
        if taken:
            self.pieces.append(taken)
            self.size_bytes += len(taken)
        return data[missing:]

    def take(self) -> list[bytes | memoryview]:
        """Return all pieces and start an empty part."""
        pieces, self.pieces, self.size_bytes = self.pieces, [], 0
        return pieces
