"""Examines the bytes of every manifest in both of their places; the sound one heals the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from entrepot.blobstore.errors import BlobStoreError
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.lifecycle.scrub.findings import Finding, Kind, Outcome
from entrepot.lifecycle.scrub.hits import hits_of_manifest
from entrepot.lifecycle.scrub.options import Mode
from entrepot.lifecycle.scrub.steps import Step
from entrepot.lifecycle.scrub.walks import walk_bodies
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import MAX_MANIFEST_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.lifecycle.scrub.examination import Condition, Examination
    from entrepot.lifecycle.scrub.healing import Healing
    from entrepot.lifecycle.scrub.mass_damage import MassDamageGuard
    from entrepot.lifecycle.scrub.options import ScrubGround, ScrubOptions
    from entrepot.metadata.inventory import InventoryBody
    from entrepot.metadata.store import Transaction

__all__ = ["ManifestPhase"]

_log: Any = structlog.get_logger()

_COPY_KINDS: Final = {
    Kind.MISSING: Kind.COPY_MISSING,
    Kind.TRUNCATED: Kind.COPY_DAMAGED,
    Kind.OVERLONG: Kind.COPY_DAMAGED,
    Kind.CORRUPT: Kind.COPY_DAMAGED,
    Kind.UNREADABLE: Kind.UNREADABLE,
}
_THE_COPY: Final = "the copy in the blob store"
_THE_DATABASE: Final = "the database"


class ManifestPhase:
    """See :class:`entrepot.lifecycle.scrub.steps.Phase`."""

    def __init__(
        self,
        ground: ScrubGround,
        options: ScrubOptions,
        examination: Examination,
        healing: Healing,
        guard: MassDamageGuard,
    ) -> None:
        self._metadata = ground.metadata
        self._blobs = ground.blobs
        self._options = options
        self._examination = examination
        self._healing = healing
        self._guard = guard

    @property
    def name(self) -> str:
        """What people call it."""
        return "manifests"

    @property
    def in_bytes(self) -> bool:
        """Whether progress is counted in bytes."""
        return False

    async def total(self) -> int | None:
        """Nobody counts them."""
        return None

    async def steps(self, cursor: str) -> AsyncGenerator[Step, None]:
        """Examine batches of bodies and their copies."""
        async for after, batch in walk_bodies(self._metadata, self._options.repositories, cursor):
            isolated = await self._metadata.verification.quarantined([body.digest for body in batch])
            examined = [(body, _is_sound(body), await self._examine_copy(body)) for body in batch]
            suspects = [
                one for one in examined if not one[1] or one[2].kind is not None or one[0].digest in isolated
            ]
            lost = [one for one in suspects if not one[1] or one[2].kind is Kind.MISSING]
            if suspects:
                await self._guard.require_right_store()
            await self._guard.require_plausible(len(batch), len(lost))
            findings = [await self._settle(body, body.digest in isolated) for body, _, _ in suspects]
            read_bytes = sum(copy.read_bytes for _, _, copy in examined)
            found = tuple(finding for finding in findings if finding is not None)
            yield Step(after, len(batch), read_bytes, found)

    async def _examine_copy(self, body: InventoryBody) -> Condition:
        size = len(body.body) if _is_sound(body) else body.size_bytes
        return await self._examination.examine(body.storage_key, body.digest, size)

    async def _settle(self, seen: InventoryBody, isolated: bool) -> Finding | None:  # noqa: FBT001  # a fact, not a switch
        """Look again, do what is to be done, and return the finding; `None` when nothing is wrong after all."""
        body = await self._metadata.verification.body(seen.digest)
        if body is None:
            return None
        if not _is_sound(body):
            return await self._settle_body(body, isolated)
        copy = await self._examine_copy(body)
        if copy.kind is not None:
            outcome = await self._store_copy(body, copy)
            finding = await self._finding(body, _COPY_KINDS[copy.kind], copy.detail, outcome, _THE_DATABASE)
            return msgspec.structs.replace(finding, found_bytes=copy.found_bytes)
        if not isolated:
            return None
        outcome = Outcome.WOULD_RESTORE if self._options.mode is Mode.REHEARSE else Outcome.FOUND
        if self._options.mode is Mode.REPAIR:
            await self._metadata.write(lambda tx: tx.quarantine.restore_manifests(body.digest))
            _log.warning("manifest.restored", digest=str(body.digest))
            outcome = Outcome.RESTORED
        return await self._finding(body, Kind.QUARANTINED, "its bytes are sound again", outcome)

    async def _settle_body(self, body: InventoryBody, isolated: bool) -> Finding:  # noqa: FBT001  # as above
        detail = f"the bytes in the database hash to {Digest.of_bytes(body.body, body.digest.algorithm)}"
        kind = Kind.QUARANTINED if isolated else Kind.CORRUPT
        if self._options.mode is Mode.REPORT:
            return await self._finding(body, kind, detail, Outcome.FOUND)
        sound = await self._find_sound(body)
        if sound is None:
            outcome = await self._isolate(body, detail) if not isolated else Outcome.FOUND
            return await self._finding(body, kind, detail, outcome)
        content, source = sound
        if self._options.mode is Mode.REHEARSE:
            return await self._finding(body, kind, detail, Outcome.WOULD_HEAL, source)

        async def unit(tx: Transaction) -> None:
            await tx.quarantine.replace_body(body.digest, content)
            await tx.quarantine.restore_manifests(body.digest)

        await self._metadata.write(unit)
        reach(Failpoint.HEAL_COMMITTED)
        _log.warning("manifest.healed", digest=str(body.digest), source=source)
        if source != _THE_COPY:
            await self._put_copy(body.storage_key, content)
        return await self._finding(body, kind, detail, Outcome.HEALED, source)

    async def _find_sound(self, body: InventoryBody) -> tuple[bytes, str] | None:
        copy = await self._read_copy(body)
        if copy is not None:
            return copy, _THE_COPY
        return await self._healing.find_manifest(body.digest)

    async def _read_copy(self, body: InventoryBody) -> bytes | None:
        """Return the bytes of the copy in the store if they are sound."""
        try:
            chunks = [chunk async for chunk in self._blobs.read(body.storage_key, 0, MAX_MANIFEST_BYTES + 1)]
        except BlobStoreError:
            return None
        content = b"".join(chunks)
        return content if Digest.of_bytes(content, body.digest.algorithm) == body.digest else None

    async def _store_copy(self, body: InventoryBody, copy: Condition) -> Outcome:
        if self._options.mode is Mode.REPORT or copy.kind is Kind.UNREADABLE:
            return Outcome.FOUND
        if self._options.mode is Mode.REHEARSE:
            return Outcome.WOULD_HEAL
        await self._put_copy(body.storage_key, body.body)
        _log.warning("manifest.healed", digest=str(body.digest), source=_THE_DATABASE)
        return Outcome.HEALED

    async def _put_copy(self, key: str, content: bytes) -> None:
        """Store the copy under its own key, which never stood for other bytes, so that the journal still leads to it.

        A crash in between leaves no copy, which the next verification finds; the database has the bytes.
        """
        await self._blobs.delete(key)
        reach(Failpoint.MANIFEST_COPY_DROPPED)
        await self._blobs.put(key, content)
        reach(Failpoint.MANIFEST_COPY_STORED)

    async def _isolate(self, body: InventoryBody, reason: str) -> Outcome:
        if self._options.mode is Mode.REHEARSE:
            return Outcome.WOULD_QUARANTINE
        await self._guard.require_right_store()  # where its copy was looked for
        count = await self._metadata.write(
            lambda tx: tx.quarantine.isolate_manifests(body.digest, body.body, reason)
        )
        reach(Failpoint.QUARANTINE_COMMITTED)
        if count == 0:
            return Outcome.FOUND
        _log.error("manifest.quarantined", digest=str(body.digest), reason=reason)
        return Outcome.QUARANTINED

    async def _finding(
        self, body: InventoryBody, kind: Kind, detail: str, outcome: Outcome, source: str = ""
    ) -> Finding:
        hits = await hits_of_manifest(self._metadata, body.digest)
        return Finding(
            kind=kind,
            about="manifest",
            name=str(body.digest),
            key=body.storage_key,
            expected_bytes=body.size_bytes,
            detail=detail,
            repositories=hits.repositories,
            tags=hits.tags,
            more=hits.more,
            needed=hits.manifests > 0,
            outcome=outcome,
            source=source if outcome in {Outcome.HEALED, Outcome.WOULD_HEAL} else "",
        )


def _is_sound(body: InventoryBody) -> bool:
    return Digest.of_bytes(body.body, body.digest.algorithm) == body.digest
