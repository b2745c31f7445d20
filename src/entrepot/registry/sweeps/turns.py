"""Takes the lease of a sweep, after a look at whether a clock that was ahead left it to somebody for years (F27)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.metadata.records import TimesAhead
from entrepot.registry.sweeps.steady_clock import STEADY_SECONDS, SteadyClock
from entrepot.registry.sweeps.times_ahead import tell_ahead

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.metadata.records import SweepClaim
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["LONGEST_TURN_SECONDS", "Patience", "take_turn", "wait_for_turn"]

LONGEST_TURN_SECONDS: Final = 300
"""No lease of any sweep is longer, whoever takes it."""

_MILLISECONDS: Final = 1000
_DAY_SECONDS: Final = 86400


@dataclass(frozen=True, slots=True)
class Patience:
    """How whoever needs a lease waits for it.

    Attributes:
        seconds: for one that somebody holds.
        poll_seconds: between two attempts.
        on_wait: called once when such a one has to be waited for.
        on_overlong: told once, in a sentence, of a lease that ends later than any can: it is waited for until it could
            be put right, which takes longer.
    """

    seconds: float
    poll_seconds: float
    on_wait: Callable[[], None]
    on_overlong: Callable[[str], None]


async def take_turn(
    metadata: Metadata, clock: SteadyClock, name: str, lease_seconds: int, period_seconds: int | None = None
) -> SweepClaim | None:
    """Return the lease, `None` when somebody else has it, or when a sweep with a period is not due.

    Without a period it is taken due or not. Lease and period are the longest that anybody gives this sweep. What ends
    later than they allow is shortened once `clock` was seen to be steady: by one that is behind for a moment, every
    lease ends too late.
    """
    await clock.look(metadata)
    is_trusted = clock.is_steady

    async def unit(tx: Transaction) -> tuple[SweepClaim | None, TimesAhead]:
        ahead = TimesAhead()
        if is_trusted:
            ahead = await tx.orphans.put_right(name, lease_seconds, period_seconds)
        if period_seconds is None:
            return await tx.orphans.hold(name, lease_seconds), ahead
        return await tx.orphans.claim(name, lease_seconds), ahead

    claim, ahead = await metadata.write(unit)
    tell_ahead(f"lease of {name}", ahead.lease)
    tell_ahead(f"next turn of {name}", ahead.end)
    return claim


async def wait_for_turn(
    metadata: Metadata,
    name: str,
    lease_seconds: int,
    patience: Patience,
    clock: SteadyClock | None = None,
) -> SweepClaim | None:
    """Return the lease, due or not, or `None` when somebody else had it all the time.

    For commands, which live too short to know the clock: one that finds the lease held for years watches the clock
    while it waits (`clock`, or one of its own), and then puts it right itself, as no registry may be running.
    """
    clock = clock or SteadyClock()
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + patience.seconds
    longest = give_up_at + 2 * STEADY_SECONDS
    told: set[bool] = set()
    while True:
        claim = await take_turn(metadata, clock, name, lease_seconds)
        if claim is not None:
            return claim
        overlong = await _overlong_seconds(metadata, name)
        if overlong:
            give_up_at = min(longest, loop.time() + patience.seconds)
        if loop.time() >= give_up_at:
            return None
        if bool(overlong) not in told:
            told.add(bool(overlong))
            if overlong:
                patience.on_overlong(_describe(name, overlong, lease_seconds))
            else:
                patience.on_wait()
        await asyncio.sleep(patience.poll_seconds)


async def _overlong_seconds(metadata: Metadata, name: str) -> float:
    """Return in how many seconds the lease ends; 0 where that may be."""
    times = await metadata.diagnosis.sweep_times()
    lease = next((one.lease or 0 for one in times if one.name == name), 0) / _MILLISECONDS
    return lease if lease > LONGEST_TURN_SECONDS else 0


def _describe(name: str, seconds: float, lease_seconds: int) -> str:
    length = f"{seconds / _DAY_SECONDS:.1f} days" if seconds >= _DAY_SECONDS else f"{seconds:.0f} s"
    minutes = -(-(STEADY_SECONDS + lease_seconds) // 60)
    return (
        f"the lease of the sweep {name} is held for {length}, longer than anybody takes it: the database's clock was "
        f"ahead, or is behind now. See that it is right; once it was seen to run steadily, this command goes on by "
        f"itself, in {minutes} minutes"
    )
