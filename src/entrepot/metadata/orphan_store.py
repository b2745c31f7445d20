"""The protocols of the sweep of orphans: what it asks, and what it remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.records import Candidate, Owners, SweepClaim, TimesAhead

__all__ = ["OrphanReader", "OrphanRows"]


class OrphanReader(Protocol):
    """What the sweep of orphans asks."""

    async def owners(self, uploads: Sequence[str], keys: Sequence[str]) -> Owners:
        """Return which of these ids of sessions and storage keys some row mentions, all at one moment."""
        ...

    async def candidates(self, after: str, last: str, grace_seconds: int) -> Sequence[Candidate]:
        """Return what was remembered of the keys in `(after, last]`, in byte order."""
        ...

    async def count(self) -> tuple[int, int]:
        """Return how many candidates there are, and their bytes."""
        ...

    async def last_fact(self) -> int:
        """Return the sequence number of the youngest fact, 0 without one."""
        ...


class OrphanRows(Protocol):
    """Candidates of the sweep of orphans, and the sweep's own progress, within a unit."""

    async def remember(self, sizes: Mapping[str, int]) -> None:
        """Note keys with their sizes in bytes as seen now; those noted before keep their time."""

    async def redate(self, keys: Sequence[str]) -> None:
        """Note candidates as seen now that were noted at a time which lies ahead (F27)."""

    async def forget(self, keys: Sequence[str]) -> None:
        """Remove candidates that are gone, or that a row mentions after all."""

    async def put_right(self, name: str, lease_seconds: int, period_seconds: int | None) -> TimesAhead:
        """Shorten what a clock that was ahead left of a sweep, and return how far ahead it lay (F27).

        A lease that ends later than one that begins now would end with that one: its holder, if it lives, renews it
        before, and loses nothing. A sweep that is due later than one that ended now would be is due now;
        without a period nobody asks for that.
        """
        ...

    async def claim(self, name: str, lease_seconds: int) -> SweepClaim | None:
        """Take the sweep's lease; `None` when it is not due yet or somebody else is at it."""
        ...

    async def hold(self, name: str, lease_seconds: int) -> SweepClaim | None:
        """Take the sweep's lease to keep it from running, due or not; `None` when somebody else is at it."""
        ...

    async def save(self, claim: SweepClaim, lease_seconds: int) -> bool:
        """Record progress and prolong the lease; `False` when it was lost."""
        ...

    async def release(self, claim: SweepClaim, pause_seconds: int) -> None:
        """Record progress and give the lease back; the sweep is due again after the pause."""
