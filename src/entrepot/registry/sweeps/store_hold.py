"""Keeps the sweep of orphans from removing anything while somebody else relies on what lies in the store.

A backup that copied the rows needs the bytes they mention until it has copied those, a rebuild knows of blobs before
rows do, and a verification must not call missing what a sweep removed a moment ago. All of them take the sweep's own
lease: as long as one holds it, no node sweeps.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import MetadataError
from entrepot.registry.errors import StoreHeldError
from entrepot.registry.sweeps.orphans import SWEEP_NAME
from entrepot.registry.sweeps.turns import LONGEST_TURN_SECONDS, Patience, wait_for_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from entrepot.metadata.records import SweepClaim
    from entrepot.metadata.store import Metadata
    from entrepot.registry.sweeps.steady_clock import SteadyClock

__all__ = ["StoreHold"]

_LEASE_SECONDS: Final = LONGEST_TURN_SECONDS
_RENEWAL_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 2.0


class StoreHold:
    """Takes the sweep's lease, renews it, and gives it back."""

    def __init__(
        self,
        metadata: Metadata,
        patience_seconds: float = 2 * _LEASE_SECONDS,
        clock: SteadyClock | None = None,
    ) -> None:
        """Take the rows; `patience_seconds` is how long to wait for a sweep under way (its lease ends by itself).

        `clock` is one that was watched before; without it the hold watches for itself while it waits.
        """
        self._metadata = metadata
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._claim: SweepClaim | None = None

    @property
    def claim(self) -> SweepClaim | None:
        """The lease, while it is held."""
        return self._claim

    @contextlib.asynccontextmanager
    async def held(
        self, on_wait: Callable[[], None], on_overlong: Callable[[str], None]
    ) -> AsyncIterator[None]:
        """Hold the lease inside the context.

        If a sweep has to be waited for, `on_wait` is called once; or `on_overlong` with a sentence, if that has the
        lease for longer than can be, since a clock was wrong: then it is waited for until that is put right.

        When the lease is lost, because the database could not be reached for minutes, the task inside is cancelled:
        what it relies on may be gone.

        Raises:
            StoreHeldError: somebody else held it all the time, or it was lost.
            MetadataError: the rows can't be read or written.
        """
        claim = self._claim = await self._take(on_wait, on_overlong)
        lost = False
        inside = asyncio.current_task()

        async def renew() -> None:
            nonlocal lost
            if not await self._renewed_until_lost(claim) and inside is not None:
                lost = True
                inside.cancel()

        renewal = asyncio.create_task(renew(), name="store hold")
        try:
            yield
        except asyncio.CancelledError:
            if lost:
                raise StoreHeldError(
                    "the hold on the store was lost, since the database was away for minutes"
                ) from None
            raise
        finally:
            renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewal
            self._claim = None
            if not lost:
                await self._metadata.write(lambda tx: tx.orphans.release(claim, 0))

    async def _take(self, on_wait: Callable[[], None], on_overlong: Callable[[str], None]) -> SweepClaim:
        patience = Patience(self._patience_seconds, _POLL_SECONDS, on_wait, on_overlong)
        claim = await wait_for_turn(self._metadata, SWEEP_NAME, _LEASE_SECONDS, patience, self._clock)
        if claim is None:
            raise StoreHeldError("a sweep of orphans, a backup, a rebuild or a verification is under way")
        return claim

    async def _renewed_until_lost(self, claim: SweepClaim) -> bool:
        """Renew for ever; return `False` when the lease is lost."""
        loop = asyncio.get_running_loop()
        good_until = loop.time() + _LEASE_SECONDS
        while True:
            await asyncio.sleep(_RENEWAL_SECONDS)
            asked_at = loop.time()
            try:
                if not await self._metadata.write(lambda tx: tx.orphans.save(claim, _LEASE_SECONDS)):
                    return False
                good_until = asked_at + _LEASE_SECONDS
            except MetadataError:
                if loop.time() >= good_until:
                    return False
