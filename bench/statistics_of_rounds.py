"""The arithmetic of the tables: medians, spreads, ratios of rounds taken side by side, Zipf's law."""

from __future__ import annotations

import bisect
import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

__all__ = ["Summary", "median_ratio", "sample_zipf", "scatter_misses", "subtract_floor", "summarize"]

_SHORTEST_SECONDS: Final = 0.001


@dataclass(frozen=True, slots=True)
class Summary:
    """Median and extremes of a measurement's rounds, in the measurement's own unit."""

    median: float
    lowest: float
    highest: float

    @property
    def spread(self) -> float:
        """Distance of the extremes as a share of the median."""
        return (self.highest - self.lowest) / self.median if self.median else 0.0


def summarize(rounds: Sequence[float]) -> Summary:
    """Return median and extremes.

    Raises:
        ValueError: there is no round.
    """
    if not rounds:
        raise ValueError("a measurement without a round has no median")
    return Summary(statistics.median(rounds), min(rounds), max(rounds))


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of rounds taken one after the other: what slows both down cancels out.

    Raises:
        ValueError: the rounds don't pair up.
    """
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def subtract_floor(seconds: Sequence[float], floors: Sequence[float]) -> list[float]:
    """Return what each round took beyond the floor: the least of all floors, since noise only ever adds to one.

    A round that was no slower than that counts as a millisecond, the shortest that such a copy tells apart: the
    server's share is lost in the noise then, and zero would make a ratio of it.
    """
    floor = min(floors)
    return [max(whole - floor, _SHORTEST_SECONDS) for whole in seconds]


def sample_zipf(population: int, count: int, chance: random.Random) -> list[int]:
    """Return `count` numbers below `population`; number k is drawn in proportion to 1 / (k + 1)."""
    edges = list(itertools.accumulate(1 / rank for rank in range(1, population + 1)))
    return [bisect.bisect_left(edges, chance.random() * edges[-1]) for _ in range(count)]


def scatter_misses(count: int, share: float, chance: random.Random) -> set[int]:
    """Return which of `count` requests are to ask for something absent: exactly their share, at random places."""
    return set(chance.sample(range(count), round(count * share)))
