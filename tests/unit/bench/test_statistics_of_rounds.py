"""The arithmetic of the published tables."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from bench.statistics_of_rounds import (
    Summary,
    median_ratio,
    sample_zipf,
    scatter_misses,
    subtract_floor,
    summarize,
)


def test_summary_is_median_and_extremes() -> None:
    """An outlier widens the spread and leaves the median alone."""
    summary = summarize([3.0, 100.0, 2.0])

    assert summary == Summary(median=3.0, lowest=2.0, highest=100.0)
    assert summary.spread == pytest.approx(98 / 3)


def test_no_round_has_no_median() -> None:
    """A row that was never measured is an error, not a zero."""
    with pytest.raises(ValueError, match="without a round"):
        summarize([])


def test_ratio_is_taken_round_by_round() -> None:
    """A round in which the machine was slow for both counts like any other; medians apart would give 1.2."""
    assert median_ratio([80.0, 8.0, 120.0], [10.0, 1.0, 100.0]) == 8.0


def test_rounds_that_do_not_pair_up_are_refused() -> None:
    """A ratio needs as many rounds of one server as of the other."""
    with pytest.raises(ValueError, match="zip"):
        median_ratio([1.0, 2.0], [1.0])


def test_the_least_floor_is_taken_off_each_round() -> None:
    """The copy that nothing disturbed is the floor of all rounds."""
    assert subtract_floor([5.0, 4.0], [1.0, 3.0]) == [4.0, 3.0]


def test_a_round_no_slower_than_the_floor_counts_as_a_millisecond() -> None:
    """A figure lost in the noise is small, but never nothing and never negative: ratios are made of it."""
    assert subtract_floor([5.0, 2.0], [2.5, 2.5]) == [2.5, 0.001]


def test_zipf_prefers_low_numbers_in_proportion() -> None:
    """Number 0 is drawn twice as often as number 1, four times as often as number 3; all lie in range."""
    drawn = Counter(sample_zipf(100, 200_000, random.Random(1)))

    assert drawn[0] / drawn[1] == pytest.approx(2, rel=0.05)
    assert drawn[0] / drawn[3] == pytest.approx(4, rel=0.05)
    assert set(drawn) == set(range(100))


def test_misses_have_exactly_their_share() -> None:
    """Ten per cent of a thousand requests are a hundred, at places that differ."""
    places = scatter_misses(1000, 0.1, random.Random(1))

    assert len(places) == 100
    assert places <= set(range(1000))
