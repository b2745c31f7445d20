"""Reads of files that wait for no disk, since the kernel has the bytes in memory: they may stand on the event loop."""

from __future__ import annotations

import errno
import os
from typing import Final

__all__ = ["CachedReads"]

_NOWAIT: Final = getattr(os, "RWF_NOWAIT", 0)
_IS_UNKNOWN: Final = frozenset((errno.EOPNOTSUPP, errno.ENOSYS))


class CachedReads:
    """Reads on one file system, each a copy of so many bytes and nothing else.

    Attributes:
        are_possible: whether the system and the file system know such reads, as far as has been seen.
    """

    def __init__(self) -> None:
        self.are_possible = bool(_NOWAIT)

    def read(self, descriptor: int, offset: int, size: int) -> bytearray | None:
        """Return bytes of a file, as many of `size` (> 0) as are in memory in one piece, `None` where that is none.

        Whatever else comes of it is `None`, too: a read that may wait finds out what is the matter. Source: preadv2(2).
        """
        content = bytearray(size)
        try:
            count = os.preadv(descriptor, [content], offset, _NOWAIT)
        except OSError as error:
            self.are_possible = error.errno not in _IS_UNKNOWN
            return None
        del content[count:]
        return content or None
