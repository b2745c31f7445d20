"""The few system calls on which durability hangs, behind one object that a test may count or make fail (F5-F7)."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.filesystem.room_ahead import take_room
from entrepot.blobstore.filesystem.write_back import start_writing_back
from entrepot.blobstore.filesystem.write_length import LONG_WRITE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["DirectoryNotOpenedError", "DurableOperations", "write_all"]

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_MOST_BUFFERS: Final = os.sysconf("SC_IOV_MAX")


class DirectoryNotOpenedError(OSError):
    """A directory could not be opened, so no fsync was tried: for want of a descriptor, say. Nothing is lost by it."""


class DurableOperations:
    """The real calls. Every method blocks and is called on a disk thread, never on the event loop."""

    def write_at(self, descriptor: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        """Write `buffers` one after another from `offset` on; return how many bytes were taken, perhaps not all."""
        return os.pwritev(descriptor, buffers, offset)

    def take_room(self, descriptor: int, offset: int, size: int) -> None:
        """Have the file system set blocks aside for a range that will be written; the file's size stays."""
        take_room(descriptor, offset, size)

    def start_writing_back(self, descriptor: int, offset: int, size: int) -> None:
        """Have the kernel begin to write a range to the disk; nothing is durable by it."""
        start_writing_back(descriptor, offset, size)

    def sync_data(self, descriptor: int) -> None:
        """Make the bytes and the size of an open file survive a power cut."""
        os.fdatasync(descriptor)

    def sync_directory(self, directory: Path) -> None:
        """Make the entries of a directory survive a power cut.

        Raises:
            DirectoryNotOpenedError: no fsync was tried.
            OSError: the fsync failed.
        """
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise DirectoryNotOpenedError(error.errno, error.strerror, str(directory)) from error
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name."""
        source.rename(target)

    def rename_new(self, source: Path, target: Path) -> None:
        """Give a file its final name unless that is taken; replace where the file system knows no second names.

        Raises:
            FileExistsError: it is.
        """
        try:
            target.hardlink_to(source)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            source.rename(target)
        else:
            source.unlink()

    def make_directory(self, directory: Path, mode: int) -> None:
        """Create one directory.

        Raises:
            FileExistsError: it is there already.
        """
        directory.mkdir(mode)


def write_all(
    operations: DurableOperations,
    descriptor: int,
    chunks: Sequence[bytes | memoryview],
    offset: int,
    at_a_time: int = LONG_WRITE_BYTES,
) -> int:
    """Write all of `chunks` from `offset` on, and return how many bytes that were.

    The kernel is given `at_a_time` bytes at the most (see `write_length`), and may take fewer.

    Raises:
        OSError: some of the bytes may be there.
    """
    total = 0
    pending: list[bytes | memoryview] = [chunk for chunk in chunks if chunk]
    pending.reverse()
    while pending:
        taken = operations.write_at(descriptor, _front(pending, at_a_time), offset + total)
        if taken <= 0:
            raise OSError(0, "the kernel took no bytes and gave no reason")
        total += taken
        _drop_front(pending, taken)
    return total


def _front(pending: list[bytes | memoryview], room: int) -> list[bytes | memoryview]:
    """Return the first `room` bytes, or what one call takes, of a list of buffers that is kept in reverse order."""
    batch: list[bytes | memoryview] = []
    for chunk in reversed(pending[-_MOST_BUFFERS:]):
        batch.append(chunk if len(chunk) <= room else memoryview(chunk)[:room])
        room -= len(batch[-1])
        if not room:
            break
    return batch


def _drop_front(pending: list[bytes | memoryview], taken: int) -> None:
    """Remove the first `taken` bytes of a list of buffers that is kept in reverse order."""
    while taken:
        front = pending.pop()
        if len(front) > taken:
            pending.append(memoryview(front)[taken:])
            return
        taken -= len(front)
