"""An object opened for reading."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from entrepot.blobstore.errors import ObjectNotFoundError, StorageUnavailableError
from entrepot.blobstore.filesystem.disk_errors import disk_error, disk_errors_translated

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.kernel.cached_reads import CachedReads

__all__ = ["ObjectFile", "named_size", "object_size", "read_in_memory"]


def object_size(path: Path, key: str) -> int:
    """Return the size of the object at `path` in bytes, which can be read: a server that sends it later would say 404.

    Raises:
        ObjectNotFoundError: there is none.
        BlobStoreError: there is one, but it can't be opened.
    """
    opened = ObjectFile(path, key)
    try:
        return opened.size()
    finally:
        opened.close()


def named_size(path: str, key: str) -> int:
    """Return the size that the directory tells, without opening the file: a few microseconds once it is known.

    Raises:
        ObjectNotFoundError: there is none.
        BlobStoreError: it can't be told.
    """
    try:
        return os.lstat(path).st_size
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectNotFoundError(key) from error
    except OSError as error:
        raise disk_error(error, f"examine {key}") from error


def read_in_memory(reads: CachedReads, path: str, start: int, end: int) -> bytes | None:
    """Return a range, cut at the end of the object, if there is something of it and the kernel has all of it in memory.

    Else it is `None`, also where there is no such object or it can't be read: a read that may wait finds that out.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        size = min(end, os.fstat(descriptor).st_size) - start
        content = reads.read(descriptor, start, size) if size > 0 else None
    finally:
        os.close(descriptor)
    return bytes(content) if content is not None and len(content) == size else None


class ObjectFile:
    """Reads pieces of one file. Methods block; a lock keeps `close` from pulling the descriptor from under a read."""

    def __init__(self, path: Path, key: str) -> None:
        self._key = key
        self._mutex = threading.Lock()
        with disk_errors_translated(f"open {key}"):
            try:
                self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise ObjectNotFoundError(key) from error

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` on; none at the end of the file."""
        with self._mutex, disk_errors_translated(f"read {self._key}"):
            if self._descriptor < 0:
                raise StorageUnavailableError(f"{self._key} was closed")
            return os.pread(self._descriptor, size, offset)

    def size(self) -> int:
        """Return the size in bytes."""
        with self._mutex, disk_errors_translated(f"examine {self._key}"):
            return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the file. May be called again."""
        with self._mutex:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)
