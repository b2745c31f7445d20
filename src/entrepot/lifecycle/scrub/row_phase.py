"""Compares rows with rows and with what manifests say: whatever can be pulled by name can be pulled whole (I2)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from entrepot.kernel.errors import EntrepotError
from entrepot.lifecycle.scrub.findings import Finding, Kind
from entrepot.lifecycle.scrub.hits import hits_of_manifest
from entrepot.lifecycle.scrub.steps import Step
from entrepot.lifecycle.scrub.walks import walk_manifests
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import ParsedManifest, parse_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from entrepot.lifecycle.scrub.options import ScrubGround, ScrubOptions
    from entrepot.metadata.inventory import InventoryManifest
    from entrepot.metadata.verification import RecordedReference

__all__ = ["RowPhase"]

_BODIES: Final = 16
_LAST: Final = (1 << 62) - 1
_REPORTED_ELSEWHERE: Final = frozenset({"live", "quarantined"})
"""States of a target that are no finding here: what was set aside is one of the phases before."""


class RowPhase:
    """See :class:`entrepot.lifecycle.scrub.steps.Phase`. It reports and changes nothing.

    Each question is one statement, so nothing that a unit changes as a whole is seen by half.
    """

    def __init__(self, ground: ScrubGround, options: ScrubOptions) -> None:
        self._metadata = ground.metadata
        self._options = options

    @property
    def name(self) -> str:
        """What people call it."""
        return "references"

    @property
    def in_bytes(self) -> bool:
        """Whether progress is counted in bytes."""
        return False

    async def total(self) -> int | None:
        """Nobody counts them."""
        return None

    async def steps(self, cursor: str) -> AsyncGenerator[Step, None]:
        """Compare batches of manifests."""
        everything = not self._options.repositories
        before = int(cursor.partition(" ")[2] or 0) if everything else 0
        async for after, batch in walk_manifests(self._metadata, self._options.repositories, cursor):
            findings = await self._compare(batch)
            if everything:
                findings += await self._broken_tags(before, batch[-1].id)
                before = batch[-1].id
            yield Step(after, len(batch), findings=tuple(findings))
        rest = await self._broken_tags(before, _LAST)
        if rest:
            yield Step(f"{len(self._options.repositories)} {_LAST}", 0, findings=tuple(rest))

    async def _compare(self, batch: Sequence[InventoryManifest]) -> list[Finding]:
        recorded = await self._metadata.verification.references_of([manifest.id for manifest in batch])
        by_manifest: defaultdict[int, list[RecordedReference]] = defaultdict(list)
        for reference in recorded:
            by_manifest[reference.manifest_id].append(reference)
        findings: list[Finding] = []
        for start in range(0, len(batch), _BODIES):
            part = [manifest for manifest in batch[start : start + _BODIES] if manifest.id in by_manifest]
            bodies = await self._metadata.verification.bodies([manifest.digest for manifest in part])
            for manifest in part:
                findings += await self._judge(manifest, bodies, by_manifest[manifest.id])
        return findings

    async def _judge(
        self,
        manifest: InventoryManifest,
        bodies: Mapping[Digest, bytes],
        recorded: Sequence[RecordedReference],
    ) -> list[Finding]:
        references = [one for one in recorded if one.kind is not None]
        broken = [one for one in references if one.resolved and one.target not in _REPORTED_ELSEWHERE]
        body = bodies.get(manifest.digest)
        if body is None or Digest.of_bytes(body, manifest.digest.algorithm) != manifest.digest:
            differences = ""  # the phase before has it
        else:
            try:
                parsed = parse_manifest(body, manifest.media_type)
            except EntrepotError as error:
                return [await self._finding(manifest, Kind.UNPARSABLE, str(error))]
            differences = _differences(parsed, references)
            broken += _never_there(parsed, references)
        findings = [
            await self._finding(manifest, Kind.REFERENCE_BROKEN, f"{one.kind} {one.digest} is {one.target}")
            for one in broken[:1]
        ]
        if len(broken) > 1:
            detail = ", ".join(f"{one.kind} {one.digest} is {one.target}" for one in broken[:10])
            findings = [await self._finding(manifest, Kind.REFERENCE_BROKEN, detail)]
        if differences:
            findings.append(await self._finding(manifest, Kind.REFERENCES_DIFFER, differences))
        return findings

    async def _finding(self, manifest: InventoryManifest, kind: Kind, detail: str) -> Finding:
        hits = await hits_of_manifest(self._metadata, manifest.digest)
        tags = tuple(tag for tag in hits.tags if tag.startswith(f"{manifest.repository}:"))
        name = f"{manifest.repository}@{manifest.digest}"
        return Finding(
            kind,
            "manifest",
            name,
            detail=detail,
            repositories=(manifest.repository,),
            tags=tags,
            more=hits.more,
        )

    async def _broken_tags(self, after: int, last: int) -> list[Finding]:
        wanted = set(self._options.repositories)
        return [
            Finding(
                Kind.TAG_BROKEN,
                "tag",
                f"{tag.repository}:{tag.name}",
                detail=f"it points at {tag.digest}, which is {tag.state}",
                repositories=(tag.repository,),
                tags=(f"{tag.repository}:{tag.name}",),
            )
            for tag in await self._metadata.verification.broken_tags(after, last)
            if not wanted or tag.repository in wanted
        ]


def _differences(parsed: ParsedManifest, references: Sequence[RecordedReference]) -> str:
    """Return what bytes and rows of a manifest do not agree on, an empty text when there is nothing."""
    recorded = {(one.kind == "manifest", one.digest) for one in references}
    said = {(True, child.digest) for child in parsed.children}
    said |= {(False, blob.digest) for blob in (*parsed.blob_references, *parsed.non_distributable_layers)}
    unrecorded = [str(digest) for _, digest in sorted(said - recorded, key=str)]
    unsaid = [str(digest) for _, digest in sorted(recorded - said, key=str)]
    parts: list[str] = []
    if unrecorded:
        parts.append(f"the rows lack {', '.join(unrecorded[:10])}")
    if unsaid:
        parts.append(f"only the rows have {', '.join(unsaid[:10])}")
    return "; ".join(parts)


def _never_there(parsed: ParsedManifest, references: Sequence[RecordedReference]) -> list[RecordedReference]:
    """Return what an image needs and its repository did not even have when it came; an index may be sparse."""
    if parsed.is_index:
        return []
    needed = {blob.digest for blob in parsed.blob_references}
    return [
        one
        for one in references
        if not one.resolved and one.digest in needed and one.target not in _REPORTED_ELSEWHERE
    ]
