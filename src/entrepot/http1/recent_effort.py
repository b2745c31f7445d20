"""How busy a kind of work has lately kept the processor."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RecentEffort"]

_MEMORY_SECONDS: Final = 0.02
"""After so long, work counts for a third (1/e): short, so that a pull of a tenth of a second is judged by itself."""


class RecentEffort:
    """Processor time that was spent, the less the longer ago. Belongs to one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count in the seconds of `clock`."""
        self._clock = clock
        self._at = clock()
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count processor time that was spent just now."""
        self._seconds = self._left() + seconds

    def in_cores(self) -> float:
        """Return how much it is: 1.0 when one core has done nothing else for a while."""
        self._seconds = self._left()
        return self._seconds / _MEMORY_SECONDS

    def _left(self) -> float:
        before, self._at = self._at, self._clock()
        return self._seconds * math.exp((before - self._at) / _MEMORY_SECONDS)
