"""Two lines before the password checks: places from where a password was right lately do not wait behind all others.

Whoever guesses from hundreds of addresses fills the line of those that nobody knows. People at the addresses where they
were let in before have a line of their own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

from entrepot.auth.people.fair_line import FairLine

__all__ = ["WaitingRoom"]

T = TypeVar("T")

_MOST_KNOWN: Final = 4096
"""Places; the one that was unused for longest is forgotten. A process that starts knows none."""
_TURNS: Final = 4
"""Of so many one is the others' while both wait: who is new shall get in, too."""


class WaitingRoom(Generic[T]):
    """Bounded as :class:`FairLine` is, each of the two lines by itself. Belongs to one event loop."""

    def __init__(self, each: int, whole: int, most_known: int = _MOST_KNOWN) -> None:
        self._known_line: FairLine[T] = FairLine(each, whole)
        self._other_line: FairLine[T] = FairLine(each, whole)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._most_known = most_known
        self._turn = 0

    def welcome(self, place: str) -> None:
        """Know a place from now on: somebody's password was right there."""
        self._known[place] = None
        self._known.move_to_end(place)
        if len(self._known) > self._most_known:
            self._known.popitem(last=False)

    def join(self, place: str, item: T) -> T | None:
        """Let an item wait, and return the one that must go for it, as :meth:`FairLine.join` does."""
        line = self._known_line if place in self._known else self._other_line
        return line.join(place, item)

    def take(self) -> T | None:
        """Return the item whose turn it is; `None` when nothing waits."""
        lines = (self._known_line, self._other_line)
        if all(map(len, lines)):
            self._turn = (self._turn + 1) % _TURNS
            return lines[self._turn == 0].take()
        return lines[0].take() or lines[1].take()
