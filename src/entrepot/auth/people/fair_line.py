"""Who waits for a password check: a line for each place, served in turn, so that one that is busy delays itself.

Whoever guesses from one address fills that address's line. Somebody at another one waits for as many checks as there
are addresses with something to check, however many wait in each line.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

__all__ = ["FairLine"]

T = TypeVar("T")


class FairLine(Generic[T]):
    """Bounded for each place and as a whole. Belongs to one event loop."""

    def __init__(self, each: int, whole: int) -> None:
        self._each = each
        self._whole = whole
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        """Return how many wait, at all places together."""
        return self._count

    def join(self, place: str, item: T) -> T | None:
        """Let an item wait, and return the one that must go for it: itself, the last one of the longest line, or none.

        A line never has to give one up to a line that would then be as long.
        """
        line = self._lines.get(place, ())
        if len(line) >= self._each:
            return item
        displaced = None
        if self._count >= self._whole:
            longest = max(self._lines, key=lambda name: len(self._lines[name]), default=place)
            if len(self._lines.get(longest, ())) <= len(line) + 1:
                return item
            displaced = self._lines[longest].pop()
            self._count -= 1
        self._lines.setdefault(place, deque()).append(item)
        self._count += 1
        return displaced

    def take(self) -> T | None:
        """Return the next item, the first of the place whose turn it is; `None` when nothing waits."""
        if not self._lines:
            return None
        place, line = self._lines.popitem(last=False)
        item = line.popleft()
        self._count -= 1
        if line:
            self._lines[place] = line
        return item
