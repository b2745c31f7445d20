"""Remembers decisions for a short while, in bounded memory, and forgets all of them when any epoch moves."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from entrepot.auth.epochs import Epochs

__all__ = ["DecisionMemory"]

T = TypeVar("T")


class DecisionMemory(Generic[T]):
    """What was decided, by who asked about what. Asked and told on one event loop, never awaits."""

    def __init__(
        self,
        epochs: Epochs,
        seconds: float = 30.0,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._epochs = epochs
        self._seconds = seconds
        self._capacity = capacity
        self._clock = clock
        self._moves = -1
        self._answers: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    def moves(self) -> int:
        """Return what `keep` wants to know: the state of the epochs before the facts were read."""
        return self._epochs.moves()

    def find(self, key: Hashable) -> T | None:
        """Return a decision that still holds."""
        self._forget_when_moved()
        entry = self._answers.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        return entry[1]

    def keep(self, key: Hashable, answer: T, moves: int) -> None:
        """Remember a decision, unless something moved since its facts were read."""
        self._forget_when_moved()
        if moves != self._moves:
            return
        self._answers[key] = (self._clock() + self._seconds, answer)
        self._answers.move_to_end(key)
        while len(self._answers) > self._capacity:
            self._answers.popitem(last=False)

    def _forget_when_moved(self) -> None:
        moves = self._epochs.moves()
        if moves != self._moves:
            self._moves = moves
            self._answers.clear()
