"""Ids of snapshots tell when they were taken, and order them; those of a clock that was ahead are told apart (F27).

A snapshot bears the time of the registry's database. When that clock is put back, what was taken before would be the
newest for years: pruning would keep it for every backup that is made since, and a restore would bring it. Nothing in a
snapshot grows whatever clocks do: numbers of facts begin anew with each whole restore, and several registries share a
target. So this host's clock is asked: a snapshot that was taken later than now, and an hour, was not taken then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from entrepot.kernel.clock import machine_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DatedSnapshots", "part_by_date", "stamp_of"]

_LEEWAY_MILLISECONDS: Final = 3_600_000
"""How far the database's clock may be ahead of this host's."""


@dataclass(frozen=True, slots=True)
class DatedSnapshots:
    """Ids of snapshots, each part with the oldest first.

    Attributes:
        now: by this host's clock, in milliseconds since 1970.
        past: those that may be of the time they bear.
        ahead: those that can't be.
    """

    now: int
    past: tuple[str, ...]
    ahead: tuple[str, ...]

    def explain(self) -> str:
        """Return which are dated ahead of what, for people."""
        moment = datetime.fromtimestamp(self.now // 1000, UTC)
        count = len(self.ahead)
        is_dated = "1 snapshot is dated" if count == 1 else f"{count} snapshots are dated"
        return f"{is_dated} ahead of the clock of this host ({moment:%Y-%m-%dT%H:%M:%SZ}): {', '.join(self.ahead)}"


def stamp_of(milliseconds: int) -> str:
    """Return how the id of a snapshot that is taken then begins; stamps sort by time."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y%m%dT%H%M%S}{milliseconds % 1000:03d}Z"


def part_by_date(ids: Iterable[str]) -> DatedSnapshots:
    """Tell snapshots that are dated ahead of this host's clock from the others."""
    now = machine_milliseconds()
    last = stamp_of(now + _LEEWAY_MILLISECONDS) + "~"
    ordered = sorted(ids)
    return DatedSnapshots(
        now,
        tuple(snapshot for snapshot in ordered if snapshot <= last),
        tuple(snapshot for snapshot in ordered if snapshot > last),
    )
