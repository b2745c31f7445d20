"""Takes the lease of a sweep, after a look at whether a clock that was ahead left it to somebody for years (F27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.registry.times_ahead import tell_ahead

if TYPE_CHECKING:
    from entrepot.metadata.records import SweepClaim, TimesAhead
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["take_turn", "tell_sweep_ahead", "turn_in_unit"]


async def take_turn(
    metadata: Metadata, name: str, lease_seconds: int, period_seconds: int | None = None
) -> SweepClaim | None:
    """Return the lease, `None` when somebody else has it, or when a sweep with a period is not due.

    Without a period it is taken due or not. Lease and period are the longest that anybody gives this sweep.
    """
    claim, ahead = await metadata.write(lambda tx: turn_in_unit(tx, name, lease_seconds, period_seconds))
    tell_sweep_ahead(name, ahead)
    return claim


async def turn_in_unit(
    tx: Transaction, name: str, lease_seconds: int, period_seconds: int | None = None
) -> tuple[SweepClaim | None, TimesAhead]:
    """Do the same within a unit; once that is done, :func:`tell_sweep_ahead` is to be told what was put right."""
    ahead = await tx.orphans.put_right(name, lease_seconds, period_seconds)
    if period_seconds is None:
        return await tx.orphans.hold(name, lease_seconds), ahead
    return await tx.orphans.claim(name, lease_seconds), ahead


def tell_sweep_ahead(name: str, ahead: TimesAhead) -> None:
    """Tell the log what was put right of a sweep."""
    tell_ahead(f"lease of {name}", ahead.lease)
    tell_ahead(f"next turn of {name}", ahead.end)
