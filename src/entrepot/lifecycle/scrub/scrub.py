"""One pass of the verification: phase by phase, step by step, recording its place after each."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from entrepot.kernel.pace import Pace
from entrepot.lifecycle.scrub.blob_phase import BlobPhase
from entrepot.lifecycle.scrub.examination import Examination
from entrepot.lifecycle.scrub.healing import Healing
from entrepot.lifecycle.scrub.journal_phase import JournalPhase
from entrepot.lifecycle.scrub.manifest_phase import ManifestPhase
from entrepot.lifecycle.scrub.mass_damage import MassDamageGuard
from entrepot.lifecycle.scrub.object_phase import ObjectPhase
from entrepot.lifecycle.scrub.options import Mode
from entrepot.lifecycle.scrub.row_phase import RowPhase
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.registry.store_match.ownership import find_lack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.lifecycle.scrub.findings import Finding
    from entrepot.lifecycle.scrub.ledger import Ledger, Progress
    from entrepot.lifecycle.scrub.options import ScrubGround, ScrubOptions, Watcher
    from entrepot.lifecycle.scrub.steps import Phase, Step

__all__ = ["Scrub"]

_log: Any = structlog.get_logger()


class Scrub:
    """Goes on with the pass of a ledger until its end.

    It may be cancelled at any moment, and killed: whoever takes the ledger next goes on after the last step recorded.
    Every repair may be repeated.
    """

    def __init__(self, ground: ScrubGround, options: ScrubOptions, watcher: Watcher) -> None:
        self._watcher = watcher
        self._in_bytes = False
        examination = Examination(
            ground.blobs, ground.hashing, Pace(options.bytes_per_second), self._on_bytes, fast=options.fast
        )
        healing = Healing(ground, options.sources, options.operator)
        self._guard = guard = MassDamageGuard(
            ground.blobs,
            partial(find_lack, ground.metadata, ground.blobs),
            active=options.mode is Mode.REPAIR and not options.force,
        )
        self._phases: Sequence[Phase] = (
            BlobPhase(ground, options, examination, healing, guard),
            ManifestPhase(ground, options, examination, healing, guard),
            RowPhase(ground, options),
            JournalPhase(ground, options, guard),
            ObjectPhase(ground, options),
        )

    async def run(self, ledger: Ledger) -> Progress:
        """Come to the end of the pass and return what it counted; the ledger is not completed yet.

        Raises:
            MassDamageError: so much is damaged, or the store is so likely a wrong one, that nothing more was repaired.
            ScrubLostError: somebody else took the pass over.
            MetadataError, BlobStoreError: the stores failed.
        """
        async with ledger.kept():
            await self._guard.require_right_store()
            for index in range(ledger.progress.phase, len(self._phases)):
                await self._go_through(index, ledger)
        return ledger.progress

    async def _go_through(self, index: int, ledger: Ledger) -> None:
        phase = self._phases[index]
        self._in_bytes = phase.in_bytes
        self._watcher.begin(phase.name, await _total(phase), in_bytes=phase.in_bytes)
        async with aclosing(phase.steps(ledger.progress.cursor)) as steps:
            async for step in steps:
                await ledger.record(_added(ledger.progress, phase.name, step), step.findings)
                self._tell(step)
        after = msgspec.structs.replace(ledger.progress, phase=index + 1, cursor="")
        await ledger.record(after, ())

    def _tell(self, step: Step) -> None:
        if not self._in_bytes:
            self._watcher.advance(step.examined)
        for finding in step.findings:
            self._watcher.found(finding)
            if finding.is_damage:
                _log_damage(finding)

    def _on_bytes(self, count: int) -> None:
        if self._in_bytes:
            self._watcher.advance(count)


async def _total(phase: Phase) -> int | None:
    """Return how much there is to do; a database so large that counting times out is verified all the same."""
    try:
        return await phase.total()
    except MetadataUnavailableError:
        return None


def _added(progress: Progress, phase: str, step: Step) -> Progress:
    damaged = dict(progress.damaged)
    for finding in step.findings:
        if finding.is_damage:
            damaged[finding.kind] = damaged.get(finding.kind, 0) + 1
    return msgspec.structs.replace(
        progress,
        cursor=step.cursor,
        counts=progress.counts | {phase: progress.counts.get(phase, 0) + step.examined},
        read_bytes=progress.read_bytes + step.read_bytes,
        findings=progress.findings + len(step.findings),
        damaged=damaged,
        orphans=progress.orphans + step.orphans,
        orphan_bytes=progress.orphan_bytes + step.orphan_bytes,
    )


def _log_damage(finding: Finding) -> None:
    _log.error(
        "scrub.damage",
        kind=finding.kind,
        about=finding.about,
        name=finding.name,
        key=finding.key,
        reason=finding.detail,
        repositories=list(finding.repositories),
        tags=list(finding.tags),
        outcome=finding.outcome,
    )
