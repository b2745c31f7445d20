"""Which times a checkpoint is shown to have been signed behind: those of whom it names, and whom these name."""

from __future__ import annotations

import msgspec
import pytest

from entrepot.audit.ancestry import TimesBefore
from entrepot.audit.checkpoints import CheckpointContent, name_of_signed
from entrepot.metadata.audit_store import CheckpointRow

_UNTIL = 1000


def _signed(sequence: int, at: int, previous: CheckpointRow | None, key: bytes = b"key") -> CheckpointRow:
    name = "" if previous is None else name_of_signed(previous.signed)
    signed = msgspec.json.encode(CheckpointContent(1, "c", "sha256", sequence, "00", at, at, name))
    return CheckpointRow(sequence, "00", "ES256", "k", key, signed, b"", at)


def _latest(checkpoints: list[CheckpointRow], of: CheckpointRow, *, any_key: bool = False) -> int:
    return TimesBefore(checkpoints, _UNTIL, any_key=any_key).of(of)


def test_the_latest_time_of_all_that_came_before_is_found() -> None:
    first = _signed(1, 20, None)
    ahead = _signed(2, 900, first)
    third = _signed(3, 30, ahead)
    last = _signed(4, 40, third)
    known = [last, third, first, ahead]

    assert [_latest(known, one) for one in (first, ahead, third, last)] == [0, 20, 900, 900]


def test_a_time_behind_the_end_does_not_count_and_hides_no_other() -> None:
    first = _signed(1, 900, None)
    far = _signed(2, _UNTIL + 1, first)
    last = _signed(3, 30, far)

    assert _latest([first, far, last], last) == 900


@pytest.mark.parametrize("missing", [0, 1])
def test_nothing_is_shown_of_those_before_one_that_is_missing(missing: int) -> None:
    first = _signed(1, 900, None)
    second = _signed(2, 20, first)
    last = _signed(3, 30, second)
    known = [first, second, last]
    del known[missing]

    assert _latest(known, last) == (20 if missing == 0 else 0)


def test_one_of_another_history_is_not_taken_for_one_before() -> None:
    """As an older copy of the database signs that goes on: a later time, on an earlier sequence."""
    first = _signed(1, 10, None)
    kept = _signed(25, 100, _signed(6, 50, first))
    other = _signed(6, 500, first)

    assert _latest([first, other, kept], kept) == 0
    assert _latest([first, other, _signed(6, 50, first), kept], kept) == 50


def test_those_of_another_key_count_only_where_all_keys_are_trusted() -> None:
    first = _signed(1, 900, None, key=b"another")
    last = _signed(2, 30, first)

    assert _latest([first, last], last) == 0
    assert _latest([first, last], last, any_key=True) == 900


def test_one_that_names_a_later_place_is_shown_to_be_behind_nothing() -> None:
    later = _signed(9, 900, None)
    odd = _signed(3, 30, later)

    assert _latest([later, odd], odd) == 0
