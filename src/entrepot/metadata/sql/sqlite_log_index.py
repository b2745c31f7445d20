"""A look at the index of SQLite's write-ahead log, which tells in 0.2 µs whether anything was committed since.

Its header is a documented format (sqlite.org/walformat.html, section 2.1): two copies of 48 bytes, of which a commit
writes the second first. Whoever begins to read compares them, and reads the state that they name; while all 96 bytes
are the same, a statement would see the same rows again. Processes share the file as memory, and SQLite keeps its
beginning in the same place for as long as this process has a connection on it: there it is looked at. A descriptor of
our own would be a danger: the kernel ends all locks that a process has on a file with the first one that is closed
(sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Final

__all__ = ["LogIndex", "are_one_state"]

_COPY_BYTES: Final = 48
_HEADER: Final = ctypes.c_char * (2 * _COPY_BYTES)
_FORMAT: Final = 3_007_000
"""The only version of the format that there has been, in the first four bytes, in the order of the machine."""
_MAPPINGS: Final = Path("/proc/self/maps")
_FIELDS: Final = 6
"""Of a line that names a file: addresses, rights, offset, device, inode, path (proc_pid_maps(5))."""


class LogIndex:
    """The beginning of the index, to be looked at as long as the connection is open by which it was found."""

    def __init__(self, address: int) -> None:
        self._header = _HEADER.from_address(address)

    @staticmethod
    def of(path: Path) -> LogIndex | None:
        """Return the index of a database's file, on which a connection of this process has read already. Blocks.

        `None` where nothing proves that SQLite has it in memory, or the format is another: the caller does without.
        """
        try:
            address = _find(path.with_name(f"{path.name}-shm"))
        except OSError:
            return None
        index = None if address is None else LogIndex(address)
        return index if index is not None and index.is_known() else None

    def is_known(self) -> bool:
        """Whether the header is of the format that is meant here."""
        return int.from_bytes(self.header()[:4], sys.byteorder) == _FORMAT

    def header(self) -> bytes:
        """Return both copies as they are now."""
        return self._header.raw


def are_one_state(header: bytes) -> bool:
    """Whether both copies name the same state; while somebody writes them, and after a crash then, they do not."""
    return header[:_COPY_BYTES] == header[_COPY_BYTES:]


def _find(path: Path) -> int | None:
    """Return where this process has the beginning of that file in its memory, which is SQLite's doing."""
    inode = path.stat().st_ino
    for line in _MAPPINGS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=_FIELDS - 1)
        if len(fields) == _FIELDS and (int(fields[2], 16), int(fields[4]), fields[5]) == (
            0,
            inode,
            str(path),
        ):
            return int(fields[0].partition("-")[0], 16)
    return None
