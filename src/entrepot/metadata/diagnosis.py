"""The protocol of what an operator's examination asks of the database; no request does any of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DiagnosisReader", "RecentGrowth", "StoppedRobot", "SweepTimes"]


@dataclass(frozen=True, slots=True)
class RecentGrowth:
    """What the youngest blobs take, and since when they came, by the database's clock."""

    blobs: int
    size_bytes: int
    since_milliseconds: int
    """When the oldest of them was stored, in milliseconds since 1970; 0 when there is none."""


@dataclass(frozen=True, slots=True)
class StoppedRobot:
    """A robot that may do nothing because of who answers for it.

    Attributes:
        name: in full, as it logs in.
        sponsor: the login name of that person, who is disabled; `None` for one who is gone.
    """

    name: str
    sponsor: str | None


@dataclass(frozen=True, slots=True)
class SweepTimes:
    """How far times of a row of `sweeps` lie ahead of the database's clock, in milliseconds; below 0 for the past.

    Attributes:
        lease: when a lease ends; `None` when nobody holds one.
        due: when it is due again; of backups, when the last one was completed.
    """

    name: str
    lease: int | None
    due: int


class DiagnosisReader(Protocol):
    """Facts for a person. Each call is one statement of bounded cost, but for orphans, which are few."""

    async def clock_milliseconds(self) -> int:
        """Return the database's time in milliseconds since 1970, by which everything that is stored is dated."""
        ...

    async def stopped_robots(self, most: int) -> Sequence[StoppedRobot]:
        """Return enabled robots, not at their end, for whom somebody answers who is disabled or gone; oldest first."""
        ...

    async def sweep_times(self) -> Sequence[SweepTimes]:
        """Return the times of every row of sweeps, marks and backups; there are a few."""
        ...

    async def youngest_orphan(self) -> int:
        """Return how far ahead of the database's clock an orphan was seen at most, in milliseconds; 0 if none was."""
        ...

    async def recent_growth(self, seconds: int, most_blobs: int) -> RecentGrowth:
        """Return what came within the last `seconds`, looking at no more than the `most_blobs` youngest blobs."""
        ...
