"""The protocol of what an operator's examination asks of the database; no request does any of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DiagnosisReader", "RecentGrowth", "StoppedRobot"]


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


class DiagnosisReader(Protocol):
    """Facts for a person. Each call is one statement of bounded cost."""

    async def clock_milliseconds(self) -> int:
        """Return the database's time in milliseconds since 1970, by which everything that is stored is dated."""
        ...

    async def stopped_robots(self, most: int) -> Sequence[StoppedRobot]:
        """Return enabled robots, not at their end, for whom somebody answers who is disabled or gone; oldest first."""
        ...

    async def recent_growth(self, seconds: int, most_blobs: int) -> RecentGrowth:
        """Return what came within the last `seconds`, looking at no more than the `most_blobs` youngest blobs."""
        ...
