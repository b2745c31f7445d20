"""Which checkpoints one is shown to have been signed behind: that which it names, and whom that names."""

from __future__ import annotations

import msgspec
import pytest

from entrepot.audit.ancestry import Ancestry
from entrepot.audit.checkpoint_format import CheckpointContent, name_of_signed, signed_at
from entrepot.metadata.audit_store import CheckpointRow

_AHEAD = 900


def _signed(sequence: int, at: int, previous: CheckpointRow | None, key: bytes = b"key") -> CheckpointRow:
    name = "" if previous is None else name_of_signed(previous.signed)
    signed = msgspec.json.encode(CheckpointContent(1, "c", "sha256", sequence, "00", at, at, name))
    return CheckpointRow(sequence, "00", "ES256", "k", key, signed, b"", at)


def _is_behind(checkpoints: list[CheckpointRow], of: CheckpointRow, *, any_key: bool = False) -> bool:
    """Whether it is shown to be behind one of when the clock was ahead."""
    ancestry = Ancestry(checkpoints, lambda one: signed_at(one) == _AHEAD, any_key=any_key)
    return ancestry.is_behind(of)


def test_all_that_came_before_are_looked_through() -> None:
    first = _signed(1, 20, None)
    ahead = _signed(2, _AHEAD, first)
    third = _signed(3, 30, ahead)
    last = _signed(4, 40, third)
    known = [last, third, first, ahead]

    assert [_is_behind(known, one) for one in (first, ahead, third, last)] == [False, False, True, True]


@pytest.mark.parametrize("missing", [0, 1])
def test_nothing_is_shown_of_those_before_one_that_is_missing(missing: int) -> None:
    first = _signed(1, _AHEAD, None)
    second = _signed(2, 20, first)
    last = _signed(3, 30, second)
    known = [first, second, last]
    assert _is_behind(known, last)
    del known[missing]

    assert not _is_behind(known, last)


def test_one_of_another_history_is_not_taken_for_one_before() -> None:
    """As an older copy of the database signs that goes on: a later time, on an earlier sequence."""
    first = _signed(1, 10, None)
    between = _signed(6, 50, first)
    kept = _signed(25, 100, between)
    other = _signed(6, _AHEAD, first)

    assert not _is_behind([first, other, kept], kept)
    assert not _is_behind([first, other, between, kept], kept)


def test_those_of_another_key_count_only_where_all_keys_are_trusted() -> None:
    first = _signed(1, _AHEAD, None, key=b"another")
    last = _signed(2, 30, first)

    assert not _is_behind([first, last], last)
    assert _is_behind([first, last], last, any_key=True)


def test_one_that_names_a_later_place_is_shown_to_be_behind_nothing() -> None:
    later = _signed(9, _AHEAD, None)
    odd = _signed(3, 30, later)

    assert not _is_behind([later, odd], odd)
