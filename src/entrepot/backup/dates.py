"""Ids of snapshots tell when they were taken, and order them; those that a wrong clock dated are told apart (F27).

A snapshot bears the time of the registry's database. When that clock is put back, what was taken before would be the
newest for years: pruning would keep it for every backup that is made since, and a restore would bring it. Nothing in a
snapshot grows whatever clocks do: numbers of facts begin anew with each whole restore, and several registries share a
target. So this host's clock is asked: a snapshot that was taken later than now, and an hour, was not taken then.

Once that time has come the clock has nothing to say against it any more; nor against those that were made before the
clock was put back, when it is put right. Then the snapshots themselves tell, within one database: each names those that
were there when it was made though their ids are later (`overtaken`). What it names is older, however much it holds: a
database may have been set back since. Nothing else is asked, so that no snapshot's place hangs on a third one, which a
prune may have removed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from entrepot.kernel.clock import machine_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.backup.format import SnapshotPlace

__all__ = ["DatedSnapshots", "next_time", "part_by_date", "part_doubtful", "stamp_of"]

_LEEWAY_MILLISECONDS: Final = 3_600_000
"""How far the database's clock may be ahead of this host's."""

_STAMP: Final = re.compile(r"(\d{8}T\d{6})(\d{3})Z-")


@dataclass(frozen=True, slots=True)
class DatedSnapshots:
    """Ids of snapshots, each part with the oldest first.

    Attributes:
        now: by this host's clock, in milliseconds since 1970.
        past: those that may be of the time they bear.
        ahead: those that can't be.
        doubtful: those that are older than one of the same database with an earlier id; see :func:`part_doubtful`.
    """

    now: int
    past: tuple[str, ...]
    ahead: tuple[str, ...]
    doubtful: tuple[str, ...] = ()

    @property
    def set_aside(self) -> tuple[str, ...]:
        """Those that take no place, and that nobody gets without naming them."""
        return (*self.doubtful, *self.ahead)

    def explain(self) -> str:
        """Return which are set aside and why, for people."""
        moment = datetime.fromtimestamp(self.now // 1000, UTC)
        of_this_host = f"the clock of this host ({moment:%Y-%m-%dT%H:%M:%SZ})"
        told = [
            _named(self.ahead, f"dated ahead of {of_this_host}"),
            _named(self.doubtful, "dated after a newer one of the same registry"),
        ]
        return "; ".join(filter(None, told))


def _named(ids: tuple[str, ...], what: str) -> str:
    if not ids:
        return ""
    count = "1 snapshot is" if len(ids) == 1 else f"{len(ids)} snapshots are"
    return f"{count} {what}: {', '.join(ids)}"


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


def next_time(taken_at: int, ids: Iterable[str]) -> int:
    """Return the time that a new snapshot bears: when it was taken, or right after the newest of `ids` (F27).

    All in milliseconds since 1970. Ids that begin otherwise than ours count for nothing.
    """
    return max(taken_at, *(_borne_by(snapshot) + 1 for snapshot in ids), 0)


def _borne_by(snapshot: str) -> int:
    """Return the time that an id bears, in milliseconds since 1970; 0 if it bears none."""
    match = _STAMP.match(snapshot)
    if match is None:
        return 0
    try:
        moment = datetime.strptime(f"{match[1]}+0000", "%Y%m%dT%H%M%S%z")
    except ValueError:
        return 0
    return int(moment.timestamp()) * 1000 + int(match[2])


def part_doubtful(dated: DatedSnapshots, compared: Iterable[SnapshotPlace]) -> DatedSnapshots:
    """Tell also those of `past` apart that were there when one of the same database was made whose id is earlier.

    One of the two times is wrong, and nobody knows which; but which of them is older, the later one says.

    Args:
        dated: as :func:`part_by_date` told them apart.
        compared: those that are held against one another; what is not among them is not doubted, and doubts none.
    """
    places = {place.id: place for place in compared}
    doubtful = {
        named
        for place in places.values()
        for named in place.overtaken
        if named in places and places[named].incarnation == place.incarnation
    }
    return replace(
        dated,
        past=tuple(snapshot for snapshot in dated.past if snapshot not in doubtful),
        doubtful=tuple(snapshot for snapshot in dated.past if snapshot in doubtful),
    )
