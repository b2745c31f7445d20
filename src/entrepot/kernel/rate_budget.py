"""How often something may be done in a minute, by whoever does it; who waits may do it again, bit by bit."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RateBudget"]

_MOST_KEYS: Final = 16_384
"""Whoever was heard of longest ago is forgotten beyond that, which only gives them their minute back."""
_MINUTE: Final = 60.0


class RateBudget:
    """A bucket for each key, which holds a minute's worth and fills up at that rate. Belongs to one event loop."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Take how often in a minute, 0 for any number."""
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()

    @property
    def per_minute(self) -> int:
        """How often in a minute."""
        return self._per_minute

    def seconds_to_wait(self, *key: str) -> int:
        """Take one of what `key` has left and return 0, or take nothing and return in how many seconds there is one."""
        if not self._per_minute:
            return 0
        now, rate = self._clock(), self._per_minute / _MINUTE
        left, since = self._buckets.get(key, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - since) * rate)
        wait = 0 if left >= 1 else math.ceil((1 - left) / rate)
        self._buckets[key] = (left if wait else left - 1, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > _MOST_KEYS:
            self._buckets.popitem(last=False)
        return wait
