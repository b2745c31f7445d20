"""Has a virtual machine's host hand over memory before a measurement that fills it.

A page that the guest has never used costs the host a fault at its first use, charged to whoever writes to it: here up
to 4 s of processor time per GB, twice what a push costs in all. A server on a machine that has run for a day doesn't
meet it, and whether a round does is chance: the same unchanged server took 148 MB/s and 330 MB/s.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

__all__ = ["touch_memory"]

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_MARGIN: Final = 4
"""Pages given back are mixed with others, so that many more are touched than will be used."""


def touch_memory(size_bytes: int) -> None:
    """Use memory of some times `size_bytes`, at most half of what is free, and give it back to the kernel."""
    free_bytes = os.sysconf("SC_AVPHYS_PAGES") * _PAGE_BYTES
    wanted = min(_MARGIN * size_bytes, free_bytes // 2)
    if wanted >= _PAGE_BYTES:
        mmap.mmap(-1, wanted, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()
