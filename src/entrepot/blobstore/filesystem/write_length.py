"""How much of a file the kernel is given at a time: whichever of two lengths has taken less processor time lately.

Longer writes are fewer, and cost less by a tenth. But for a write ext4 asks for a run of free memory as long as it is,
and where memory was filled page by page there is none: then the kernel moves pages to make one while the write waits,
which costs several times of what writing does. Both happen on one machine, an hour apart, and nothing tells which it
is but the time that writes take (docs/decisions/0065-lengths-of-writes.md).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LONG_WRITE_BYTES", "SHORT_WRITE_BYTES", "WriteLength"]

LONG_WRITE_BYTES: Final = 1024 * 1024
SHORT_WRITE_BYTES: Final = 256 * 1024
_TRIED_EVERY: Final = 16
"""So many steps of a file are written before the other length is tried again."""
_WEIGHT: Final = 1 / 8
"""Of the last step in what is known of its length: one that waited is forgotten after some twenty."""


@final
class WriteLength:
    """Chooses, for all files of one volume that a process writes.

    Threads that choose at the same time may overwrite what another one has learnt; no more depends on it than speed.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        """Measure with `clock`, in seconds of the calling thread's processor time."""
        self._clock = clock
        self._costs: dict[int, float] = {}
        self._count = 0

    @contextmanager
    def for_step(self, size: int) -> Iterator[int]:
        """Yield how many of `size` bytes to write at a time, and learn from what writing them costs.

        Raises:
            OSError: what is raised within, from which nothing is learnt.
        """
        if size < LONG_WRITE_BYTES:  # which is as good as short
            yield LONG_WRITE_BYTES
            return
        length = self._choose()
        began = self._clock()
        yield length
        cost = (self._clock() - began) / size
        known = self._costs.get(length, cost)
        self._costs[length] = known + (cost - known) * _WEIGHT

    def _choose(self) -> int:
        self._count += 1
        is_dearer = self._cost(LONG_WRITE_BYTES) > self._cost(SHORT_WRITE_BYTES)
        is_tried = self._count % _TRIED_EVERY == 0
        return SHORT_WRITE_BYTES if is_dearer != is_tried else LONG_WRITE_BYTES

    def _cost(self, length: int) -> float:
        """Return the seconds per byte, of a length that was not tried yet the most there are: long ones begin."""
        return self._costs.get(length, float("inf"))
