"""The line before the password checks: whose turn it is, and who must go when it is full."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from entrepot.auth.people.fair_line import FairLine


def _joined(line: FairLine[str], *items: str) -> list[str | None]:
    """Let items wait, each at the place that its first letter names."""
    return [line.join(item[0], item) for item in items]


def test_places_are_served_in_turn_however_long_their_lines_are() -> None:
    line: FairLine[str] = FairLine(9, 9)
    _joined(line, "a1", "a2", "a3", "b1", "c1", "b2")

    assert [line.take() for _ in range(7)] == ["a1", "b1", "c1", "a2", "b2", "a3", None]


def test_one_place_has_no_more_than_its_share() -> None:
    line: FairLine[str] = FairLine(2, 9)

    assert _joined(line, "a1", "a2", "a3", "b1") == [None, None, "a3", None]
    assert len(line) == 3


def test_who_comes_to_a_full_line_displaces_the_last_of_the_longest_one() -> None:
    line: FairLine[str] = FairLine(9, 4)

    assert _joined(line, "a1", "a2", "a3", "b1", "c1") == [None, None, None, None, "a3"]
    assert [line.take() for _ in range(4)] == ["a1", "b1", "c1", "a2"]


def test_nobody_is_displaced_for_a_line_that_would_be_as_long() -> None:
    line: FairLine[str] = FairLine(9, 2)

    assert _joined(line, "a1", "b1", "c1", "a2") == [None, None, "c1", "a2"]


@given(st.lists(st.sampled_from(["a", "b", "c", "d", ""])), st.integers(0, 4), st.integers(0, 6))
def test_no_item_is_lost_and_both_bounds_hold(steps: list[str], each: int, whole: int) -> None:
    """An empty step takes one; every item comes out exactly once, in the order of its place."""
    line: FairLine[tuple[str, int]] = FairLine(each, whole)
    taken: list[tuple[str, int]] = []
    displaced: list[tuple[str, int]] = []
    for number, place in enumerate(steps):
        out = line.join(place, (place, number)) if place else line.take()
        if out is not None:
            (displaced if place else taken).append(out)
        assert len(line) <= whole
    while (left := line.take()) is not None:
        taken.append(left)

    assert sorted(taken + displaced) == sorted((place, number) for number, place in enumerate(steps) if place)
    for place in "abcd":
        served = [number for where, number in taken if where == place]
        assert served == sorted(served)
