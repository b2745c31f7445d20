"""Takes room for a growing file before its bytes come, so that ext4 looks for it once and not again for each write.

The room lies beyond the end of the file: its size, and whatever is read of it, stays as it was. It is given back when
the file is published, closed or opened again; until then no more is taken than the file has already, and 64 MiB at the
most. All of it is advice: where it fails, bytes are written without.
"""

from __future__ import annotations

import os
from contextlib import suppress
from ctypes import c_int64
from typing import TYPE_CHECKING, Final

from entrepot.kernel.library_calls import call_library

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LEAST_ROOM_BYTES", "MOST_ROOM_BYTES", "ROOM_AHEAD_KINDS", "RoomAhead", "take_room"]

ROOM_AHEAD_KINDS: Final = frozenset({"ext4"})
"""Those that gain by it: xfs takes room ahead by itself, btrfs would compress no more, others know no such call."""

LEAST_ROOM_BYTES: Final = 16 * 1024 * 1024
"""A file without that many bytes gets no room: most layers end before they would have used it."""

MOST_ROOM_BYTES: Final = 64 * 1024 * 1024

_FALLOC_FL_KEEP_SIZE: Final = 1
"""From <linux/falloc.h>; see fallocate(2)."""


def take_room(descriptor: int, offset: int, size: int) -> None:
    """Have the file system set blocks aside for a range of a file, beyond its end too; its size stays.

    Raises:
        OSError: it has none left, or does not know how.
    """
    call_library("fallocate", descriptor, _FALLOC_FL_KEEP_SIZE, c_int64(offset), c_int64(size))


class RoomAhead:
    """How far the room of one open file reaches."""

    def __init__(self, take: Callable[[int, int, int], bool] | None) -> None:
        """Take room by calling `take` with descriptor, offset and size, which tells whether it did; none by None."""
        self._take = take
        self._end = 0

    def take(self, descriptor: int, offset: int, size: int) -> None:
        """See that the `size` bytes to be written at `offset`, the file's end, have room, and others behind them."""
        if self._take is None or offset < LEAST_ROOM_BYTES or offset + size <= self._end:
            return
        room = max(size, min(offset, MOST_ROOM_BYTES))
        try:
            if self._take(descriptor, offset, room):
                self._end = offset + room
        except OSError:
            self._take = None

    def give_back(self, descriptor: int, offset: int) -> None:
        """Give back what lies beyond `offset`, the file's end. What can't be given back is room, and no byte."""
        if self._end > offset:
            with suppress(OSError):
                os.ftruncate(descriptor, offset)
        self.forget()

    def forget(self) -> None:
        """Take it that no room is left: the file was cut."""
        self._end = 0

    def may_be_left(self, offset: int) -> bool:
        """Whether a process that was killed may have left room beyond `offset`, the end of a file it wrote."""
        return self._take is not None and offset >= LEAST_ROOM_BYTES
