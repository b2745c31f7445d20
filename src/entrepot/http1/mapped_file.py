"""A part of a file as memory, made and given up without holding up other threads.

The standard library's `mmap` keeps Python's lock meanwhile: microseconds on a local disk, and a way through the network
where a file system asks its server first, as NFS does. The event loop would stand still with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["mapped_file"]

_FLAGS: Final = mmap.MAP_SHARED | mmap.MAP_POPULATE
_FAILED: Final = ctypes.c_void_p(-1).value
_LIBRARY: Final = ctypes.CDLL(None, use_errno=True)
_mmap: Final = _LIBRARY.mmap
_mmap.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64),
)
_mmap.restype = ctypes.c_void_p
_munmap: Final = _LIBRARY.munmap
_munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


@contextlib.contextmanager
def mapped_file(descriptor: int, offset: int, size: int) -> Iterator[ctypes.Array[ctypes.c_char]]:
    """Hold `size` bytes (> 0) of an open file from `offset` on. Only for the kernel to read from: see below.

    All of them are in memory by then: a socket would stay locked while the kernel waits for a disk on its way to copy
    them, and whoever else wants anything of that socket, as the event loop does, would wait for the disk, too.

    Whoever touches bytes that can't be read, or are not there any more, is ended by SIGBUS; system calls say EFAULT.
    Source: mmap(2).

    Raises:
        OSError: they can't be mapped, or the file ends before them.
    """
    if sys.maxsize < 2**32:
        raise OSError(errno.ENOSYS, "the offset of a mapping is shorter on this system")
    if os.fstat(descriptor).st_size < offset + size:  # there would be zeros up to the end of the last page
        raise OSError(errno.EINVAL, "the file ends before the bytes that are wanted")
    skipped = offset % mmap.ALLOCATIONGRANULARITY
    address = _mmap(None, skipped + size, mmap.PROT_READ, _FLAGS, descriptor, offset - skipped)
    if address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    try:
        yield (ctypes.c_char * size).from_address(address + skipped)
    finally:
        _munmap(address, skipped + size)
