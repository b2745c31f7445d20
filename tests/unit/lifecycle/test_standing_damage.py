"""Which of the counts of two verifications are believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, VERIFY_SWEEP
from entrepot.lifecycle.scrub.ledger import Progress
from entrepot.lifecycle.scrub.standing import read_standing_damage
from entrepot.metadata.verification import SweepState

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata


class _Rows:
    """The rows of the two sweeps, as the database has them."""

    def __init__(self, scheduled: Progress, asked: Progress) -> None:
        self.verification = self
        self._rows = {SCRUB_SWEEP: scheduled, VERIFY_SWEEP: asked}

    async def sweep(self, name: str) -> SweepState:
        return SweepState(progress=msgspec.json.encode(self._rows[name]).decode(), now_milliseconds=0)


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
