"""Numbers that no fact of a journal has, for whoever asks whether a file of it is gone.

They prove nothing: a unit that was rolled back takes its number with it, and files hold from one fact to a thousand. So
they are told of, and the longest runs are named.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Final

__all__ = ["NumberGaps"]

_NAMED_RUNS: Final = 5


@dataclass(slots=True)
class NumberGaps:
    """What is missing between the numbers of one journal, as far as it was read.

    Attributes:
        incarnation: whose journal it is.
        count: how many numbers.
        longest: the longest runs of them, by first and last number, in no order.
    """

    incarnation: str
    count: int = 0
    longest: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def pass_from(self, one: int, following: int) -> None:
        """Take in that after a number, which need not be a fact's, the next fact has a later one."""
        run = (one + 1, following - 1)
        if _length(run) > 0:
            self.count += _length(run)
            self.longest = heapq.nlargest(_NAMED_RUNS, (*self.longest, run), key=_length)

    def described(self) -> str:
        """Return how many there are, and the longest runs in the order of their numbers."""
        runs = (str(first) if first == last else f"{first}-{last}" for first, last in sorted(self.longest))
        most = ", ".join(runs)
        return (
            f"{self.count:,}, at {most}"
            if len(self.longest) < _NAMED_RUNS
            else f"{self.count:,}, most at {most}"
        )


def _length(run: tuple[int, int]) -> int:
    return run[1] - run[0] + 1
