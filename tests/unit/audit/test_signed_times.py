"""What the times of checkpoints prove, of clocks that were ahead or in the past for a while (F27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.audit.checkpoint_format import CheckpointContent
from entrepot.audit.signed_times import SignedTimes
from entrepot.metadata.audit_store import CheckpointRow
from tests.running.audit_material import DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOW = 1000
_LONG = [*range(401, 190, -15), 3]
"""Checkpoints of an honest clock, by how many days ago they were signed, half a month apart."""


def _signed(
    days_ago: float, sequence: int, node_days_ago: float | None = None, key: bytes = b""
) -> CheckpointRow:
    at = int((_NOW - days_ago) * DAY)
    node_at = at if node_days_ago is None else int((_NOW - node_days_ago) * DAY)
    signed = msgspec.json.encode(CheckpointContent(1, "c", "sha256", sequence, "00", at, node_at))
    return CheckpointRow(sequence, "00", "ES256", "key-1", key, signed, b"", at)


def _of(days_ago: Sequence[float]) -> list[CheckpointRow]:
    return [_signed(days, sequence) for sequence, days in enumerate(days_ago, 1)]


def _old(checkpoints: Sequence[CheckpointRow], days: int = 180) -> int | None:
    return SignedTimes(reversed(checkpoints)).last_before((_NOW - days) * DAY)


def test_of_a_clock_that_was_right_what_was_signed_before_is_old() -> None:
    assert _old(_of([400, 300, 181, 180, 20])) == 3
    assert _old(_of([180, 20])) is None
    assert _old([]) is None
    assert SignedTimes(_of([400, 181, 180, 20])).first_since((_NOW - 180) * DAY) == (3, (_NOW - 180) * DAY)
    assert SignedTimes(_of([400, 181, 180, 20])).first_since((_NOW - 180) * DAY, 2) is None


@pytest.mark.parametrize("days_ago", [[405, -5000, *_LONG], [400, 300, 20]])
@pytest.mark.parametrize("pages", [(slice(0, -1), slice(-1, None)), (slice(-1, None), slice(0, -1))])
def test_checkpoints_that_are_taken_by_and_by_are_as_good_as_all_at_once(
    days_ago: list[float], pages: tuple[slice, slice]
) -> None:
    """In whichever order."""
    signed = _of(days_ago)
    times = SignedTimes()
    for page in pages:
        times.take(signed[page])

    assert times.last_before((_NOW - 180) * DAY) == _old(signed) == len(signed) - 1


@pytest.mark.parametrize("ahead", [[-5000], [-5000, -5000.1, -4000], [0], [-5000, 10]])
def test_what_was_signed_by_a_clock_that_was_ahead_holds_nothing_up_for_longer_than_the_log_shows_it(
    ahead: list[float],
) -> None:
    """The last of them may lie as little ahead as the run is long; what the run shows to be old is."""
    signed = _of([405, *ahead, *_LONG])

    assert _old(signed) == len(signed) - 1
    assert _old(signed[:5]) == 1


@pytest.mark.parametrize("days_ago", [[405, 225, *range(400, 190, -15), 3], [405, 160, 400, 300, 190, 3]])
def test_a_time_that_no_long_run_contradicts_is_taken_for_true(days_ago: list[float]) -> None:
    """It lies ahead by less than 180 days, so the purge comes as much later; or months lie between two times."""
    since = 230 if days_ago[1] == 225 else 180

    assert _old(_of(days_ago), since) == 1


def test_what_is_shown_to_be_old_stays_so_as_time_goes_on() -> None:
    """Where the clock was ahead twice, by less the second time, and in the past later: else a purge became a cut."""
    ahead = {0: 1000, 1: 200, 2: 200, 290: -7000}
    signed = [_signed(_NOW - day - ahead.get(day, 0), day + 1) for day in range(460)]
    found = [
        SignedTimes(signed[:day]).last_before((day - 180) * DAY) or 0
        for day in range(201, 460)
        if day - 1 not in ahead
    ]

    assert found[0] > 0
    assert found == sorted(found)


def test_a_clock_in_the_past_ages_nothing() -> None:
    """As of a machine without a battery, at each start until it is put right: such a checkpoint is not counted."""
    assert _old(_of([400, 20, 9000, 8999.9, 19])) == 1
    assert _old(_of([300, 9000, 20])) == 1
    assert _old(_of([400, 9000, 300, 20])) == 3
    assert _old(_of([400, 20, 9000, 19, 5000, 18, 3])) == 1
    assert _old(_of([400, 20, *(9000 - 20 * number for number in range(5)), 19])) == 1


def test_a_run_that_is_signed_with_another_key_proves_nothing() -> None:
    """Who owns the database has keys of his own, and signs what he likes where none is given to whoever verifies."""
    kept = [_signed(400, 1), _signed(20, 2)]
    days_ago = list(enumerate(range(400, 190, -15), 3))

    assert _old([*kept, *(_signed(days, sequence, key=b"forged") for sequence, days in days_ago)]) == 1
    assert _old([*kept, *(_signed(days, sequence) for sequence, days in days_ago)]) == days_ago[-1][0]


def test_a_run_that_no_node_bears_out_proves_nothing() -> None:
    """Who owns the database can set its clock, and have a year of checkpoints signed within minutes."""
    kept = _signed(20, 2)
    made = [_signed(9000 - 20 * number, 3 + number, 0.1) for number in range(30)]
    formerly = [_signed(9000 - 20 * number, 3 + number, _NOW) for number in range(30)]
    borne_out = [_signed(9000 - 20 * number, 3 + number) for number in range(30)]

    for run, first in ((made, 2), (formerly, 2), (borne_out, None)):
        found = SignedTimes([kept, *run]).first_since((_NOW - 180) * DAY)
        assert (found and found[0]) == first


def test_many_checkpoints_that_are_dated_ahead_are_told_in_one_pass() -> None:
    """As a registry of a former program left them in months."""
    ahead = [-400 - number / 1e6 for number in range(20_000)]

    assert _old(_of([405, *ahead, *_LONG])) == 1 + len(ahead) + len(_LONG) - 1


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([0, 0, 0, 1, 90, 200, 5000])), min_size=1, max_size=60
    )
)
def test_nothing_counts_as_older_than_it_is_however_often_a_clock_was_ahead(
    steps: list[tuple[int, int]],
) -> None:
    days, true, signed = 1000, list[int](), list[CheckpointRow]()
    for sequence, (step, ahead) in enumerate(steps, 1):
        days -= step
        true.append(days)
        signed.append(_signed(days - ahead, sequence))

    old = _old(signed) or 0

    assert all(days > 180 for days in true[:old])
