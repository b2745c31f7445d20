"""How much one address may have under way at all entrances together (I12, F41)."""

from __future__ import annotations

import pytest

from entrepot.kernel.address_budget import AddressBudget, TooManyRequestsError


def test_an_address_with_too_many_requests_under_way_is_refused_and_another_one_is_not() -> None:
    refusals: list[int] = []
    budget = AddressBudget(2, lambda: refusals.append(1))
    for _ in range(2):
        budget.enter("a")
        budget.require_room("a")
    budget.enter("a")
    with pytest.raises(TooManyRequestsError) as refused:
        budget.require_room("a")
    assert (refused.value.limit, len(refusals)) == (2, 1)
    budget.enter("b")
    budget.require_room("b")
    assert len(refusals) == 1


def test_a_request_that_ended_makes_room_for_the_next() -> None:
    budget = AddressBudget(1)
    for _ in range(3):
        budget.enter("a")
        budget.require_room("a")
        budget.leave("a")


def test_a_limit_of_zero_refuses_nobody() -> None:
    budget = AddressBudget(0)
    for _ in range(1000):
        budget.enter("a")
    budget.require_room("a")


def test_addresses_without_requests_are_forgotten() -> None:
    budget = AddressBudget(2)
    for number in range(1000):
        budget.enter(str(number))
        budget.leave(str(number))
    assert budget._under_way == {}


def test_a_request_is_counted_until_it_ends_also_when_it_is_refused_or_breaks_off() -> None:
    budget = AddressBudget(1)
    budget.enter("a")
    with budget.counting("a"):
        assert budget._under_way == {"a": 2}
        with pytest.raises(TooManyRequestsError):
            budget.require_room("a")
    assert budget._under_way == {"a": 1}
    with pytest.raises(ConnectionError), budget.counting("a"):
        raise ConnectionError
    assert budget._under_way == {"a": 1}


def test_all_addresses_of_a_subscriber_in_ipv6_are_one_i12_f41() -> None:
    """Whoever has one has 2^64, and would otherwise have as many times the limit."""
    budget = AddressBudget(2)
    for number in (1, 2, 3):
        budget.enter(f"2001:db8:0:7::{number}")
    with pytest.raises(TooManyRequestsError):
        budget.require_room("2001:db8:0:7::4")
    budget.enter("2001:db8:0:8::1")
    budget.require_room("2001:db8:0:8::1")
    for number in (1, 2, 3):
        budget.leave(f"2001:db8:0:7::{number}")
    assert budget._under_way == {"2001:db8:0:8::/64": 1}
