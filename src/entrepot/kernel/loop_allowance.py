"""Reads that take microseconds are done on the event loop, where a change of threads would cost more than the read."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LoopAllowance"]


class LoopAllowance:
    """Decides whether reads of a disk may stand on the event loop, from a moving average of how long they took there.

    A disk that stalls would otherwise stall every client. After a suspension reads are tried on the loop again, with
    half the allowance used up, so that a disk which is still slow is noticed at once. A read that took long without any
    input from a disk was only kept waiting for a processor, which it would also be on a thread: it doesn't count.
    """

    LIMIT_SECONDS: Final = 0.001
    SUSPENSION_SECONDS: Final = 1.0
    _WEIGHT: Final = 1 / 16

    def __init__(self, count_disk_inputs: Callable[[], int] | None = None) -> None:
        """Take what counts the disk inputs of this thread so far; the kernel's own count by default."""
        self._count_disk_inputs = count_disk_inputs or _disk_inputs_of_thread
        self._disk_inputs = self._count_disk_inputs()
        self._average = 0.0
        self._suspended_until = 0.0

    def allows(self, now: float) -> bool:
        """Tell whether a read may run on the loop at `now`, in seconds of the performance counter."""
        return now >= self._suspended_until

    def record(self, started: float, ended: float) -> None:
        """Take one read on the loop into account."""
        if ended - started > self.LIMIT_SECONDS and not self._disk_was_read():
            return
        self._average += (ended - started - self._average) * self._WEIGHT
        if self._average > self.LIMIT_SECONDS:
            self._suspended_until = ended + self.SUSPENSION_SECONDS
            self._average = self.LIMIT_SECONDS / 2

    def _disk_was_read(self) -> bool:
        before, self._disk_inputs = self._disk_inputs, self._count_disk_inputs()
        return self._disk_inputs != before


def _disk_inputs_of_thread() -> int:
    """Return how often the calling thread has waited for a disk, for a file or for a page of memory (getrusage(2))."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_inblock + usage.ru_majflt
