"""A budget by the minute: what is left, what comes back, and how long to wait."""

from __future__ import annotations

from entrepot.kernel import rate_budget
from entrepot.kernel.rate_budget import RateBudget


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_worth_at_once_and_then_at_its_rate() -> None:
    clock = _Clock()
    budget = RateBudget(30, clock)
    assert [budget.seconds_to_wait("ann", "192.0.2.1") for _ in range(31)] == [0] * 30 + [2]
    clock.now += 1.0
    assert budget.seconds_to_wait("ann", "192.0.2.1") == 1
    clock.now += 1.0
    assert [budget.seconds_to_wait("ann", "192.0.2.1") for _ in range(2)] == [0, 2]
    clock.now += 3600.0
    assert [budget.seconds_to_wait("ann", "192.0.2.1") for _ in range(31)] == [0] * 30 + [2]


def test_nobody_pays_for_others() -> None:
    budget = RateBudget(1, _Clock())
    keys = (("ann", "192.0.2.1"), ("ann", "192.0.2.2"), ("bob", "192.0.2.1"))
    assert [budget.seconds_to_wait(*key) for key in keys] == [0, 0, 0]
    assert [budget.seconds_to_wait(*key) for key in keys] == [60, 60, 60]


def test_zero_is_any_number() -> None:
    budget = RateBudget(0, _Clock())
    assert {budget.seconds_to_wait("ann") for _ in range(10_000)} == {0}


def test_i12_no_number_of_names_takes_more_memory_than_some_do() -> None:
    budget = RateBudget(1, _Clock())
    for number in range(rate_budget._MOST_KEYS + 1000):
        assert budget.seconds_to_wait(str(number)) == 0
    assert len(budget._buckets) == rate_budget._MOST_KEYS
    assert budget.seconds_to_wait("0") == 0  # was forgotten
    assert budget.seconds_to_wait("17000") == 60
