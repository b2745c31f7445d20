"""Examines every blob that is served, and every one that was set aside, and repairs what it can."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.lifecycle.scrub.examination import Condition
from entrepot.lifecycle.scrub.findings import Finding, Kind, Outcome
from entrepot.lifecycle.scrub.hits import hits_of_blob
from entrepot.lifecycle.scrub.options import Mode
from entrepot.lifecycle.scrub.steps import Step
from entrepot.lifecycle.scrub.walks import walk_blobs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from entrepot.lifecycle.scrub.examination import Examination
    from entrepot.lifecycle.scrub.healing import Healing
    from entrepot.lifecycle.scrub.hits import Hits
    from entrepot.lifecycle.scrub.mass_damage import MassDamageGuard
    from entrepot.lifecycle.scrub.options import ScrubGround, ScrubOptions
    from entrepot.metadata.inventory import InventoryBlob
    from entrepot.metadata.store import Transaction

__all__ = ["BlobPhase"]

_log: Any = structlog.get_logger()

_NEVER_ISOLATED = frozenset({Kind.UNREADABLE})


class BlobPhase:
    """See :class:`entrepot.lifecycle.scrub.steps.Phase`.

    Rows and bytes change while it goes. So whatever looks damaged is looked at again with its row as it is by then: a
    row that is gone, or that names other bytes, was no damage.
    """

    def __init__(
        self,
        ground: ScrubGround,
        options: ScrubOptions,
        examination: Examination,
        healing: Healing,
        guard: MassDamageGuard,
    ) -> None:
        self._metadata = ground.metadata
        self._options = options
        self._examination = examination
        self._healing = healing
        self._guard = guard
        self._places = asyncio.Semaphore(options.parallel)

    @property
    def name(self) -> str:
        """What people call it."""
        return "blobs"

    @property
    def in_bytes(self) -> bool:
        """Whether progress is counted in bytes."""
        return not self._options.fast

    async def total(self) -> int | None:
        """Return the bytes of all blobs, or their number."""
        if self._options.repositories:
            totals = [
                await self._metadata.verification.totals_of(name) for name in self._options.repositories
            ]
        else:
            totals = [await self._metadata.verification.totals()]
        return sum(one.blob_bytes if self.in_bytes else one.blobs for one in totals)

    async def steps(self, cursor: str) -> AsyncGenerator[Step, None]:
        """Examine batches of blobs, several blobs at a time."""
        seen: set[int] = set()
        async for after, batch in walk_blobs(self._metadata, self._options.repositories, cursor):
            wanted = [blob for blob in batch if _is_examined(blob) and blob.id not in seen]
            if self._options.repositories:
                seen.update(blob.id for blob in wanted)
            suspects, read_bytes = await self._examine_twice(wanted)
            lost = [one for one in suspects if one[1].kind is not None and not one[0].quarantined]
            await self._guard.require_plausible(len(wanted), len(lost))
            findings = [await self._settle(blob, condition) for blob, condition in suspects]
            found = tuple(finding for finding in findings if finding is not None)
            yield Step(after, len(wanted), read_bytes, found)

    async def _examine_twice(
        self, blobs: Sequence[InventoryBlob]
    ) -> tuple[list[tuple[InventoryBlob, Condition]], int]:
        """Examine them, and once more what is missing, as :meth:`_examine`.

        Between two proofs of the store: one that was away for a part of the batch has lost nothing.

        Raises:
            MassDamageError: something is to be repaired, and the store is another one.
        """
        suspects, read_bytes = await self._examine(blobs)
        missing = [blob for blob, condition in suspects if condition.kind is Kind.MISSING]
        if missing:
            await self._guard.require_right_store()
            again, read_again = await self._examine(missing)
            suspects = [one for one in suspects if one[1].kind is not Kind.MISSING] + again
            read_bytes += read_again
        if suspects:
            await self._guard.require_right_store()
        return suspects, read_bytes

    async def _examine(
        self, blobs: Sequence[InventoryBlob]
    ) -> tuple[list[tuple[InventoryBlob, Condition]], int]:
        """Return those that are damaged or set aside, and how many bytes were read."""
        tasks = [asyncio.ensure_future(self._examine_one(blob)) for blob in blobs]
        try:
            examined = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        suspects = [
            (blob, condition)
            for blob, condition in examined
            if condition.kind is not None or blob.quarantined
        ]
        return suspects, sum(condition.read_bytes for _, condition in examined)

    async def _examine_one(self, blob: InventoryBlob) -> tuple[InventoryBlob, Condition]:
        async with self._places:
            seen = await self._examination.examine(blob.storage_key, blob.digest, blob.size_bytes)
            if seen.kind is None:
                return blob, seen
            now = await self._metadata.verification.blob(blob.id)
            if now is None or not _is_examined(now):
                return blob, Condition(None)
            again = await self._examination.examine(now.storage_key, now.digest, now.size_bytes)
            return now, again

    async def _settle(self, blob: InventoryBlob, condition: Condition) -> Finding | None:
        """Do about a blob what is to be done, and return the finding; `None` when nothing is wrong after all."""
        hits = await hits_of_blob(self._metadata, blob.id)
        if condition.kind is None:
            outcome = await self._restore(blob)
            if outcome is None:
                return None
            return _finding(blob, hits, Kind.QUARANTINED, "its bytes are sound again", outcome)
        kind = Kind.QUARANTINED if blob.quarantined else condition.kind
        detail = condition.detail if kind is condition.kind else f"{condition.kind}: {condition.detail}"
        outcome, source = await self._repair(blob, condition, hits)
        found = _finding(blob, hits, kind, detail, outcome, source)
        return msgspec.structs.replace(found, found_bytes=condition.found_bytes)

    async def _restore(self, blob: InventoryBlob) -> Outcome | None:
        if self._options.mode is not Mode.REPAIR or self._options.fast:
            # Without reading them nobody knows that the bytes are the right ones.
            return Outcome.FOUND if self._options.mode is not Mode.REHEARSE else Outcome.WOULD_RESTORE

        async def unit(tx: Transaction) -> bool:
            return await tx.quarantine.restore_blob(blob.id, blob.storage_key)

        if not await self._metadata.write(unit):
            return None
        _log.warning("blob.restored", digest=str(blob.digest))
        return Outcome.RESTORED

    async def _repair(self, blob: InventoryBlob, condition: Condition, hits: Hits) -> tuple[Outcome, str]:
        mode = self._options.mode
        if mode is Mode.REPORT:
            return Outcome.FOUND, ""
        isolates = not blob.quarantined and condition.kind not in _NEVER_ISOLATED
        if mode is Mode.REHEARSE:
            source = await self._healing.find_source(blob) if hits.repositories else ""
            if source:
                return Outcome.WOULD_HEAL, source
            return (Outcome.WOULD_QUARANTINE if isolates else Outcome.FOUND), ""
        source = await self._healing.heal_blob(blob, hits.repositories[0]) if hits.repositories else ""
        if source:
            return Outcome.HEALED, source
        if isolates and await self._isolate(blob, condition):
            return Outcome.QUARANTINED, ""
        return Outcome.FOUND, ""

    async def _isolate(self, blob: InventoryBlob, condition: Condition) -> bool:
        reason = f"{condition.kind}: {condition.detail}"

        async def unit(tx: Transaction) -> bool:
            return await tx.quarantine.isolate_blob(blob.id, blob.storage_key, reason)

        isolated = await self._metadata.write(unit)
        reach(Failpoint.QUARANTINE_COMMITTED)
        if isolated:
            _log.error("blob.quarantined", digest=str(blob.digest), key=blob.storage_key, reason=reason)
        return isolated


def _is_examined(blob: InventoryBlob) -> bool:
    """Tell whether a blob matters: what a collector put into the trash may be gone any moment."""
    return blob.state != "trash" or blob.quarantined


def _finding(
    blob: InventoryBlob, hits: Hits, kind: Kind, detail: str, outcome: Outcome, source: str = ""
) -> Finding:
    needed = hits.manifests > 0 or (bool(hits.repositories) and kind is not Kind.QUARANTINED)
    return Finding(
        kind=kind,
        about="blob",
        name=str(blob.digest),
        key=blob.storage_key,
        expected_bytes=blob.size_bytes,
        detail=detail,
        repositories=hits.repositories,
        tags=hits.tags,
        more=hits.more,
        needed=needed,
        outcome=outcome,
        source=source,
    )
