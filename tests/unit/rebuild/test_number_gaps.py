"""Numbers that no fact has: all are counted, and the longest runs are named."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from entrepot.rebuild.number_gaps import NumberGaps

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((0, 1, 2), "0, at "),
        ((0, 2, 3, 1004), "1,001, at 1, 4-1003"),
        ((0, 2, 4, 6, 8, 10, 21), "15, most at 1, 3, 5, 7, 11-20"),
    ],
)
def test_the_longest_runs_are_named_in_the_order_of_their_numbers(numbers: Sequence[int], told: str) -> None:
    gaps = NumberGaps("one")

    for one, following in pairwise(numbers):
        gaps.pass_from(one, following)

    assert gaps.described() == told
