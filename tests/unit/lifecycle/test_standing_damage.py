"""Which of the counts of two verifications are believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, VERIFY_SWEEP
from entrepot.lifecycle.scrub.ledger import Progress
from entrepot.lifecycle.scrub.standing import read_standing_damage
from entrepot.metadata.verification import SweepState
from entrepot.registry.journal.readings import JournalReadings

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata


class _Rows:
    """The rows of the two sweeps, and of the readings of the journal, as the database has them."""

    def __init__(self, scheduled: Progress, asked: Progress, readings: JournalReadings | None = None) -> None:
        self.verification = self
        self._rows = {SCRUB_SWEEP: scheduled, VERIFY_SWEEP: asked, "readings": readings}

    async def sweep(self, name: str) -> SweepState:
        row = self._rows[name]
        progress = "" if row is None else msgspec.json.encode(row).decode()
        return SweepState(progress, now_milliseconds=0)


def _ended(at: int, **damaged: int) -> Progress:
    return Progress(damaged=damaged, completed_at_milliseconds=at)


_BEGUN_ANEW = Progress(
    running=True, damaged={"b": 1}, damaged_before={"a": 2, "b": 3}, completed_at_milliseconds=1
)


@pytest.mark.parametrize(
    ("scheduled", "asked", "standing"),
    [
        (Progress(), Progress(), {}),
        (_ended(1, a=0), Progress(), {}),
        (_ended(1, a=2), _ended(2, a=1, b=1), {"a": 2, "b": 1}),
        (_ended(2, b=1), _ended(1, a=2), {"b": 1}),
        (_ended(2), msgspec.structs.replace(_ended(1, a=2), running=True), {"a": 2}),
        (_BEGUN_ANEW, _ended(0), {"a": 2, "b": 3}),
    ],
    ids=["never", "sound", "larger", "out-of-date", "under-way", "not-refuted-yet"],
)
async def test_what_stands_is_what_the_newest_have_not_refuted(
    scheduled: Progress, asked: Progress, standing: dict[str, int]
) -> None:
    assert await read_standing_damage(cast("Metadata", cast("Any", _Rows(scheduled, asked)))) == standing


@pytest.mark.parametrize(
    ("readings", "standing"),
    [
        (JournalReadings(), {"missing": 1, "journal-lost": 1}),
        (JournalReadings(moment=1), {"missing": 1, "journal-lost": 1}),
        (JournalReadings(moment=2, has_ended=True), {"missing": 1}),
        (JournalReadings(moment=2, has_ended=True, lost=2), {"missing": 1, "journal-lost": 2}),
        (JournalReadings(moment=2, has_ended=True, lacking=1), {"missing": 1, "database-gap": 1}),
    ],
    ids=["of a former program", "begun", "sound", "lost", "lacking"],
)
async def test_f11_of_the_journal_its_readings_tell_once_one_has_ended(
    readings: JournalReadings, standing: dict[str, int]
) -> None:
    """What a pass counted may be older than a reading, or younger: only the readings know their order."""
    ended = Progress(damaged={"missing": 1, "journal-lost": 1}, completed_at_milliseconds=1)

    rows = cast("Metadata", cast("Any", _Rows(ended, Progress(), readings)))

    assert await read_standing_damage(rows) == standing
