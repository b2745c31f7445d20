"""Effort counts the less, the longer ago it was."""

from __future__ import annotations

import pytest

from entrepot.http1.recent_effort import RecentEffort
from tests.asgi.identity import Clock


def _work(effort: RecentEffort, clock: Clock, *, busy: float, milliseconds: int) -> float:
    """Be busy for a part of each of some milliseconds."""
    for _ in range(milliseconds):
        clock.seconds += 0.001
        effort.add(busy * 0.001)
    return effort.in_cores()


def test_who_has_done_nothing_has_time() -> None:
    assert RecentEffort(Clock()).in_cores() == 0.0


@pytest.mark.parametrize("busy", [0.1, 0.5, 1.0, 4.0])
def test_effort_that_goes_on_is_the_part_of_the_time_that_it_takes(busy: float) -> None:
    clock = Clock()
    effort = RecentEffort(clock)
    assert _work(effort, clock, busy=busy, milliseconds=200) == pytest.approx(busy, rel=0.05)


def test_a_pull_of_a_tenth_of_a_second_is_judged_by_itself() -> None:
    clock = Clock()
    effort = RecentEffort(clock)
    assert _work(effort, clock, busy=0.6, milliseconds=20) > 0.25
    clock.seconds += 0.1
    assert effort.in_cores() < 0.01


def test_what_was_asked_does_not_change_the_answer() -> None:
    clock = Clock()
    often, once = RecentEffort(clock), RecentEffort(clock)
    often.add(0.01)
    once.add(0.01)
    for _ in range(10):
        clock.seconds += 0.001
        often.in_cores()
    assert often.in_cores() == pytest.approx(once.in_cores())
