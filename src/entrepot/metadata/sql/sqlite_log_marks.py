"""Tells a process whether others have the same SQLite file open with another log, or index of it, than itself (F47).

Whoever opens a file whose log was removed makes a new one. Those who have the former one open don't see its units, and
what they copy back changes the file under its owner: pages of both end up in it. SQLite does not notice. Nor does it
where only the index was removed: both sides then write to one log, each over what the other one has written.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import zlib
from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.sqlite_turnstile import open_lock_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["LogMark"]

_FLOCK: Final = struct.Struct("hhqqi4x")
"""Type, origin, start, length, process (0) of `struct flock` where `off_t` has 64 bits."""
_LOGS_OF_A_FILE: Final = 1 << 32
_FILES: Final = 1 << 30
_PAUSE_SECONDS: Final = 0.05


class LogMark:
    """A shared lock on one byte of `<db>.turnstile`, whose offset says which file, log and index a process has open.

    Whoever finds another byte of that file's range locked knows of another log. The lock belongs to the open file, so
    the kernel drops it when the process dies, and no other descriptor of the process ends it.
    Offsets are counted alike for ever: programs of two versions meet here during an upgrade.
    """

    def __init__(self, real: Path) -> None:
        """Open, and if need be create, the lock file beside the database's own file, which no link is.

        Raises:
            MetadataUnavailableError: it can't be opened.
        """
        self._descriptor = open_lock_file(real, ".turnstile")

    def set_alone(self, file_inode: int, log_inode: int, index_inode: int, patience_seconds: float) -> bool:
        """Lock the byte of a log and its index, and tell whether nobody has locked another one of the same file.

        Of two who come with different logs at the same moment at least one is told so: both lock before they look. Who
        is killed as another process closes the file keeps its byte a moment longer than its log, so it is waited for.
        Where the file system has no such locks, nothing is known of others.
        """
        first = file_inode % _FILES * _LOGS_OF_A_FILE
        own = first + zlib.crc32(f"{log_inode} {index_inode}".encode())
        others = (first, own - first), (own + 1, first + _LOGS_OF_A_FILE - own - 1)
        try:
            self._ask(fcntl.F_OFD_SETLK, fcntl.F_RDLCK, own, 1)
            return self._become_free(others, patience_seconds)
        except OSError:
            return True

    def has_no_other_file(self, file_inode: int, patience_seconds: float) -> bool:
        """Tell whether nobody has a log of another file open that had this name; as :meth:`set_alone`, it waits."""
        first = file_inode % _FILES * _LOGS_OF_A_FILE
        after = first + _LOGS_OF_A_FILE
        try:
            return self._become_free(
                ((0, first), (after, _FILES * _LOGS_OF_A_FILE - after)), patience_seconds
            )
        except OSError:
            return True

    def close(self) -> None:
        """Give the byte back."""
        os.close(self._descriptor)

    def _become_free(self, ranges: Iterable[tuple[int, int]], patience_seconds: float) -> bool:
        deadline = time.monotonic() + patience_seconds
        while any(self._is_locked(start, length) for start, length in ranges):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        return True

    def _is_locked(self, start: int, length: int) -> bool:
        # A length of 0 would mean all that follows.
        return length > 0 and self._ask(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, start, length) != fcntl.F_UNLCK

    def _ask(self, command: int, kind: int, start: int, length: int) -> int:
        answer = fcntl.fcntl(self._descriptor, command, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
        return int(_FLOCK.unpack(answer)[0])
