"""How far a verification has come, kept in the database, so that one that was interrupted or killed can go on.

The row of a sweep holds the lease and the place; a table holds what was found so far. Both are written by one unit, so
that a finding and the place behind it are there together or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.lifecycle.errors import ScrubBusyError, ScrubLostError
from entrepot.lifecycle.scrub.findings import Finding, as_row, from_row
from entrepot.metadata.errors import MetadataError
from entrepot.registry.sweeps.turns import Patience, take_turn, wait_for_turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from entrepot.metadata.records import SweepClaim
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.registry.sweeps.steady_clock import SteadyClock

__all__ = ["Ledger", "Progress", "read_dated_progress", "read_findings", "read_progress"]

_LEASE_SECONDS: Final = 60
"""How long a killed one keeps others out."""

_RENEWAL_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 1.0
_MOST_FINDINGS: Final = 10_000
"""Findings kept; further ones are counted."""

_PAGE: Final = 500


class Progress(msgspec.Struct, frozen=True):
    """The place of a pass, and what it has counted so far.

    Attributes:
        phase: how many phases are done; `cursor` is the place in the next one.
        counts: things looked at, by name of the phase.
        damaged: damage left, by kind; unlike the findings kept, without bound.
        damaged_before: what the last pass that came to its end counted as `damaged`.
        fast, repositories: what the pass was asked to do; one that goes on does the same.
        completed_at_milliseconds: when a pass last came to its end, by the database's clock; 0 for never.
        running: whether a pass has begun and not come to its end.
        scheduled_before: of a command's, when a scheduled pass had last come to its end as it began.
    """

    phase: int = 0
    cursor: str = ""
    counts: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    read_bytes: int = 0
    findings: int = 0
    damaged: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    damaged_before: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    orphans: int = 0
    orphan_bytes: int = 0
    fast: bool = False
    repositories: tuple[str, ...] = ()
    running: bool = False
    completed_at_milliseconds: int = 0
    scheduled_before: int = 0


async def read_progress(metadata: Metadata, sweep: str) -> Progress:
    """Return what a sweep recorded last."""
    return (await read_dated_progress(metadata, sweep))[0]


async def read_dated_progress(metadata: Metadata, sweep: str) -> tuple[Progress, int]:
    """Return the same, and the database's time, in milliseconds since 1970."""
    state = await metadata.verification.sweep(sweep)
    return _decode(state.progress), state.now_milliseconds


async def read_findings(metadata: Metadata, sweep: str) -> AsyncGenerator[Finding, None]:
    """Yield what a pass found, by kind and subject."""
    after = ("", "")
    while page := await metadata.verification.findings(sweep, after, _PAGE):
        for row in page:
            yield from_row(row)
        after = (page[-1].kind, page[-1].subject)


class Ledger:
    """One verification's hold on its sweep."""

    def __init__(self, metadata: Metadata, claim: SweepClaim) -> None:
        self._metadata = metadata
        self._claim = claim
        self._saving = asyncio.Lock()
        self.progress = _decode(claim.progress)

    @classmethod
    async def take(
        cls,
        metadata: Metadata,
        sweep: str,
        *,
        patience_seconds: float,
        on_overlong: Callable[[str], None] = lambda _: None,
        clock: SteadyClock | None = None,
    ) -> Ledger:
        """Take the sweep's lease, due or not, waiting for one that a killed verification left behind.

        `on_overlong` is told, in a sentence, of one that ends later than any can; `clock` is one that was watched
        before (F27).

        Raises:
            ScrubBusyError: somebody else holds it all the time.
        """
        patience = Patience(patience_seconds, _POLL_SECONDS, lambda: None, on_overlong)
        claim = await wait_for_turn(metadata, sweep, _LEASE_SECONDS, patience, clock)
        if claim is None:
            raise ScrubBusyError
        return cls(metadata, claim)

    @classmethod
    async def take_if_due(
        cls, metadata: Metadata, clock: SteadyClock, sweep: str, longest_pause_seconds: int
    ) -> Ledger | None:
        """Take the sweep's lease; `None` when it is not due, or somebody else is at it.

        By a steady clock, one that is due later than after `longest_pause_seconds` is due now (F27).
        """
        claim = await take_turn(metadata, clock, sweep, _LEASE_SECONDS, longest_pause_seconds)
        return None if claim is None else cls(metadata, claim)

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew the lease in the background; the task inside is cancelled when it was lost.

        Raises:
            ScrubLostError: it was lost.
        """
        inside = asyncio.current_task()
        lost = False

        async def renew() -> None:
            nonlocal lost
            while True:
                await asyncio.sleep(_RENEWAL_SECONDS)
                with contextlib.suppress(MetadataError):  # the next record will tell
                    if not await self._renewed():
                        lost = True
                        if inside is not None:
                            inside.cancel()
                        return

        renewal = asyncio.create_task(renew(), name="scrub lease")
        try:
            yield
        except asyncio.CancelledError:
            if not lost:
                raise
            if inside is not None:
                inside.uncancel()
            raise ScrubLostError from None
        finally:
            renewal.cancel()
            await asyncio.wait((renewal,))

    async def _renewed(self) -> bool:
        async with (
            self._saving
        ):  # or a slow renewal could take the place back behind a step recorded meanwhile
            return await self._save(self.progress, ())

    async def begin(self, *, fast: bool, repositories: tuple[str, ...], scheduled_before: int = 0) -> None:
        """Forget an earlier pass and what it found."""
        self.progress = Progress(
            fast=fast,
            repositories=repositories,
            running=True,
            completed_at_milliseconds=self.progress.completed_at_milliseconds,
            damaged_before=self.progress.damaged_before if self.progress.running else self.progress.damaged,
            scheduled_before=scheduled_before,
        )

        async def unit(tx: Transaction) -> bool:
            await tx.quarantine.clear_findings(self._claim.name)
            return await tx.orphans.save(self._encoded(), _LEASE_SECONDS)

        if not await self._metadata.write(unit):
            raise ScrubLostError

    async def record(self, progress: Progress, findings: Sequence[Finding]) -> None:
        """Keep the place, and what was found on the way to it.

        Raises:
            ScrubLostError: somebody else took over; nothing was kept.
        """
        room = max(_MOST_FINDINGS - self.progress.findings, 0)
        async with self._saving:
            if not await self._save(progress, findings[:room]):
                raise ScrubLostError
            self.progress = progress
        reach(Failpoint.SCRUB_RECORDED)

    async def complete(self, pause_seconds: int) -> None:
        """Note the end of the pass, and give the lease back; the sweep is due again after the pause."""
        state = await self._metadata.verification.sweep(self._claim.name)
        self.progress = msgspec.structs.replace(
            self.progress, running=False, completed_at_milliseconds=state.now_milliseconds
        )
        await self._give_back(pause_seconds)

    async def copy_to(self, sweep: str, pause_seconds: int) -> bool:
        """Let a complete pass count as one of another sweep, too.

        `False` when that one is at work itself, or came to an end since this pass began: what it found is younger than
        what a pass that was interrupted for days had looked at before.
        """
        name, progress = self._claim.name, msgspec.json.encode(self.progress).decode()

        async def unit(tx: Transaction) -> bool:
            claim = await tx.orphans.hold(sweep, _LEASE_SECONDS)
            if claim is None:
                return False
            if _decode(claim.progress).completed_at_milliseconds != self.progress.scheduled_before:
                await tx.orphans.release(claim, pause_seconds)
                return False
            await tx.quarantine.copy_findings(name, sweep)
            await tx.orphans.release(replace(claim, progress=progress), pause_seconds)
            return True

        return await self._metadata.write(unit)

    async def release(self, pause_seconds: int) -> None:
        """Give the lease back before the end of the pass; the place stays.

        It is the place that the database has: a step whose record was cancelled may have been kept, with its findings.
        """
        state = await self._metadata.verification.sweep(self._claim.name)
        self.progress = _decode(state.progress)
        await self._give_back(pause_seconds)

    async def _give_back(self, pause_seconds: int) -> None:
        claim = self._encoded()
        await self._metadata.write(lambda tx: tx.orphans.release(claim, pause_seconds))

    async def _save(self, progress: Progress, findings: Sequence[Finding]) -> bool:
        claim = replace(self._claim, progress=msgspec.json.encode(progress).decode())
        rows = [as_row(finding) for finding in findings]

        async def unit(tx: Transaction) -> bool:
            if not await tx.orphans.save(claim, _LEASE_SECONDS):
                return False
            if rows:
                await tx.quarantine.add_findings(claim.name, rows)
            return True

        return await self._metadata.write(unit)

    def _encoded(self) -> SweepClaim:
        return replace(self._claim, progress=msgspec.json.encode(self.progress).decode())


def _decode(text: str) -> Progress:
    try:
        return msgspec.json.decode(text, type=Progress) if text else Progress()
    except msgspec.MsgspecError:  # another version's; a pass begins anew
        return Progress()
