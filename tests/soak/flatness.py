"""Whether a series of samples is flat: its slope by Theil and Sen, which single outliers don't move."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.soak.sampling import Sample

__all__ = ["Bound", "Verdict", "judge", "slope_per_hour"]

_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Bound:
    """How much a value may grow between the warm-up and the end, and what it may reach at all.

    Growth is the slope times that time, so an hour tells a leak from a cache that fills, and a minute does not.
    """

    name: str
    growth: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one value after the warm-up."""

    name: str
    first: float
    last: float
    highest: float
    growth_per_hour: float
    growth: float
    bound: Bound

    @property
    def holds(self) -> bool:
        """Whether the value stayed within its bound; a falling one does."""
        return self.highest <= self.bound.maximum and self.growth <= self.bound.growth


def slope_per_hour(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between all pairs of `(seconds, value)`, per hour; 0 for less than two."""
    step = -(-len(points) // _MOST_POINTS) or 1
    slopes = [
        (later - earlier) / (end - begin)
        for (begin, earlier), (end, later) in combinations(points[::step], 2)
        if end > begin
    ]
    return statistics.median(slopes) * 3600 if slopes else 0.0


def judge(samples: Sequence[Sample], warm_up_seconds: float, bounds: Sequence[Bound]) -> list[Verdict]:
    """Hold the samples taken after the warm-up against bounds.

    Raises:
        AssertionError: a bound is about something that was never sampled; it would hold without having been looked at.
    """
    verdicts: list[Verdict] = []
    for bound in bounds:
        points = [
            (sample["seconds"], sample[bound.name])
            for sample in samples
            if sample["seconds"] >= warm_up_seconds and bound.name in sample
        ]
        assert len(points) >= 2, f"{bound.name} was not sampled after the warm-up"
        values = [value for _, value in points]
        slope = slope_per_hour(points)
        growth = slope * (points[-1][0] - points[0][0]) / 3600
        verdicts.append(Verdict(bound.name, values[0], values[-1], max(values), slope, growth, bound))
    return verdicts
