"""Keeps free memory in use, so that no measurement meets memory which a virtual machine has given back to its host.

A guest reports large blocks that are free, and within seconds its host takes them away. Whoever uses one next is
charged with getting it back: 2.4 s of processor time per GB, more than a push costs in all, where memory in use costs
0.1. Which round meets it is chance: the same unchanged servers were at 930 and 320 MB/s, at 500 and 270. A machine that
has run for a day has no such memory, for files fill it. So a file fills it here.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["MemoryFiller", "filling_memory"]

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_MEMORY_BYTES: Final = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
_KEPT_FREE: Final = 1 / 20
"""More than the kernel keeps free for itself, as a share of all memory."""
_HOLE_BYTES: Final = 2**40
"""Longer than all that a run fills, so that no part is read twice."""
_STEP_BYTES: Final = 512 * 1024**2
_BUFFER_BYTES: Final = 1024**2


@contextlib.contextmanager
def filling_memory(directory: Path) -> Iterator[MemoryFiller]:
    """Yield a filler whose file is below `directory`; at the end the file goes, and its pages are free."""
    with tempfile.TemporaryFile(dir=directory) as file:
        file.truncate(_HOLE_BYTES)
        # Single pages: for whole blocks the kernel would rather keep gigabytes free than go without.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        yield MemoryFiller(file.fileno())


@final
class MemoryFiller:
    """Has the kernel keep pages of a file that is one hole: it takes no disk, and goes when others want memory."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._offset = 0
        self._buffer = bytearray(_BUFFER_BYTES)

    def fill(self) -> None:
        """Read until hardly any memory is free and more reading takes no more of it; at most twice of what there is.

        Takes a fraction of a second where little was free.
        """
        free = _free_bytes()
        for _ in range(0, 2 * _MEMORY_BYTES, _STEP_BYTES):
            self._read_step()
            before, free = free, _free_bytes()
            if free < _KEPT_FREE * _MEMORY_BYTES and before - free < _STEP_BYTES // 2:
                return

    def _read_step(self) -> None:
        end = self._offset + _STEP_BYTES
        for offset in range(self._offset, end, _BUFFER_BYTES):
            os.preadv(self._file, [self._buffer], offset)
        self._offset = end % _HOLE_BYTES


def _free_bytes() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * _PAGE_BYTES
