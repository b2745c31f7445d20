"""Keeps a floor of free bytes, so that uploads are refused before the disk is full and everything else still fits."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.driver import Capacity
from entrepot.blobstore.errors import StorageFullError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FreeSpaceFloor", "measure_capacity"]

_MOST_BYTES_UNASKED: Final = 16 * 1024 * 1024
_AMPLE_BYTES: Final = 1024 * 1024 * 1024


def measure_capacity(root: Path) -> Capacity:
    """Ask the file system that holds `root`.

    Raises:
        OSError: it does not answer.
    """
    status = os.statvfs(root)
    return Capacity(
        used_bytes=(status.f_blocks - status.f_bfree) * status.f_frsize,
        total_bytes=status.f_blocks * status.f_frsize,
        available_bytes=status.f_bavail * status.f_frsize,
    )


class FreeSpaceFloor:
    """Admits bytes while more than `min_free_bytes` stay free.

    Asking the kernel once per 16 MiB is enough: the floor may be undercut by that much per process, which is what a
    floor is for. Near it, every write asks.
    """

    def __init__(self, root: Path, min_free_bytes: int) -> None:
        self._root = root
        self._min_free_bytes = min_free_bytes
        self._lock = threading.Lock()
        self._admitted_bytes = 0

    def admit(self, size: int) -> None:
        """Count `size` bytes as about to be written.

        Raises:
            StorageFullError: they would undercut the floor.
            OSError: the file system does not answer.
        """
        with self._lock:
            if size > self._admitted_bytes:
                self._ask(size)
            self._admitted_bytes -= size

    def is_far(self, size: int) -> bool:
        """Whether a gibibyte above the floor stays free for others once `size` bytes are taken that nobody needs yet.

        Raises:
            OSError: the file system does not answer.
        """
        return measure_capacity(self._root).available_bytes - size >= self._min_free_bytes + _AMPLE_BYTES

    def _ask(self, size: int) -> None:
        available = measure_capacity(self._root).available_bytes
        spare = available - self._min_free_bytes
        if spare < size:
            raise StorageFullError(
                f"{available} bytes are free, {size} more would leave less than the floor of {self._min_free_bytes}"
            )
        self._admitted_bytes = max(size, min(spare, _MOST_BYTES_UNASKED))
