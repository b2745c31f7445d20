"""Pushing manifests: everything they name must be there, their bytes come before their rows, and a tag moves last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.errors import AccessDeniedError
from entrepot.blobstore.keys import manifest_key
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.records import ImageReference, Missing, NewManifest
from entrepot.registry.audit import manifest_record
from entrepot.registry.errors import (
    DigestMismatchError,
    ManifestBytesGoneError,
    ManifestReferencesMissingError,
    TagConditionError,
)
from entrepot.registry.journal.facts import RecordedFact, journalled_fact
from entrepot.registry.pushes.tag_conditions import UNCONDITIONAL
from entrepot.registry.repository_access import granted_repository, require_overwrite

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Push
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.records import ReferenceKind
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.descriptor import Descriptor
    from entrepot.oci.digest import Digest
    from entrepot.oci.manifest import ParsedManifest
    from entrepot.oci.names import TagName
    from entrepot.registry.hashing import HashingPool
    from entrepot.registry.journal.writer import Journal
    from entrepot.registry.pushes.tag_conditions import TagCondition

__all__ = ["ManifestPush", "ManifestPushes", "PushedManifest", "manifest_row", "references_of"]

_FACT_KIND = "manifest.put"


@dataclass(frozen=True, slots=True)
class ManifestPush:
    """A manifest as a client sent it: exact bytes, what they say, and where they shall be found.

    Attributes:
        digest: what the client claims the bytes hash to, or what it has to be computed with.
        claimed: whether the client named `digest`; then it is verified.
        tags: the tags to point at it, each once.
        condition: what each of those tags must point at before.
    """

    body: bytes
    parsed: ParsedManifest
    claimed: Digest | None
    tags: tuple[TagName, ...]
    condition: TagCondition = UNCONDITIONAL


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """What became of a push."""

    digest: Digest
    subject: Digest | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Under which key the manifest's bytes lie, and the fact, if the push changed anything."""

    used_key: str
    recorded: RecordedFact | None


class ManifestPushes:
    """Stores manifests and moves tags."""

    def __init__(
        self,
        metadata: Metadata,
        blobs: BlobStore,
        journal: Journal,
        hashing: HashingPool,
        *,
        accept_sparse_indexes: bool,
    ) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._journal = journal
        self._hashing = hashing
        self._accept_sparse_indexes = accept_sparse_indexes

    async def push(self, grant: Grant[Push], push: ManifestPush) -> PushedManifest:
        """Store the manifest in the granted repository and point its tags at it, or do nothing at all (S43).

        Raises:
            DigestMismatchError: the bytes do not hash to the claimed digest.
            ManifestReferencesMissingError: the repository lacks a blob or manifest that it names.
            TagConditionError: a tag does not point at what the push asked for.
            RepositoryCreationDeniedError, TagOverwriteDeniedError: the grant does not reach so far.
            BlobStoreError, MetadataError: the stores failed.
        """
        algorithm = push.claimed.algorithm if push.claimed is not None else "sha256"
        digest = await self._hashing.digest_bytes(push.body, algorithm)
        if push.claimed is not None and push.claimed != digest:
            raise DigestMismatchError(push.claimed, str(digest))
        known = await self._metadata.manifests.describe_by_digest(grant.repository.text, digest)
        if not isinstance(known, Missing):
            try:
                return await self._commit(grant, push, digest, "")
            except ManifestBytesGoneError:
                pass
        return await self._commit(grant, push, digest, await self._store_bytes(digest, push.body))

    async def _store_bytes(self, digest: Digest, body: bytes) -> str:
        key = manifest_key(digest, new_public_id())
        await self._blobs.put(key, body)
        reach(Failpoint.MANIFEST_BYTES_STORED)
        return key

    async def _commit(
        self, grant: Grant[Push], push: ManifestPush, digest: Digest, key: str
    ) -> PushedManifest:
        references = references_of(push.parsed, sparse=self._accept_sparse_indexes)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> _Outcome:
            return await _put(tx, grant, push, references, digest, key, record_id)

        try:
            outcome = await self._metadata.write(unit)
        except (ManifestReferencesMissingError, TagConditionError, AccessDeniedError):
            await self._drop(key)
            raise
        reach(Failpoint.MANIFEST_COMMITTED)
        if outcome.recorded is not None:
            await self._journal.write_entry(outcome.recorded)
        if outcome.used_key != key:
            await self._drop(key)
        return PushedManifest(digest, push.parsed.subject.digest if push.parsed.subject is not None else None)

    async def _drop(self, key: str) -> None:
        if key:
            await self._blobs.delete(key)


async def _put(
    tx: Transaction,
    grant: Grant[Push],
    push: ManifestPush,
    references: tuple[ImageReference, ...],
    digest: Digest,
    key: str,
    record_id: str,
) -> _Outcome:
    """The unit of a push: all of it, or none.

    Rows are locked in one order by everybody: blobs, children, the manifest itself, then tags by name.
    """
    name, subject = grant.repository, grant.principal.subject
    repository = await granted_repository(tx, grant)
    await _require_references(tx, repository.id, references)
    known_key = await tx.manifests.body_key(digest, push.body)
    used_key = known_key or key
    if not used_key:
        raise ManifestBytesGoneError("the manifest's bytes were collected meanwhile, or are damaged")
    row = manifest_row(push, references, repository.id, digest, used_key, subject)
    appeared = await tx.manifests.put(replace(row, fresh_copy=known_key is None))
    before: dict[str, str | None] = {}
    moved = False
    for tag in sorted(tag.text for tag in push.tags):
        previous = await tx.tags.put(repository.id, tag, digest, subject)
        require_overwrite(grant, tag, previous, digest)
        if not push.condition.allows(previous):
            raise TagConditionError(name, tag, previous)
        before[tag] = None if previous is None else str(previous)
        moved |= previous != digest
    after = dict.fromkeys(before, str(digest))
    await tx.audit.append(
        manifest_record(grant, AuditAction.MANIFEST_PUSH, digest, before, after, record_id=record_id)
    )
    if not appeared and not moved:
        return _Outcome(used_key, None)
    fact = journalled_fact(grant, _FACT_KIND, _payload(push, digest, used_key))
    return _Outcome(used_key, RecordedFact(await tx.outbox.append(fact), fact))


async def _require_references(
    tx: Transaction, repository_id: int, references: tuple[ImageReference, ...]
) -> None:
    """Hold what the manifest refers to, also what need not be there but is, so that nobody deletes it meanwhile."""
    required = {reference.digest for reference in references if reference.required}
    blobs = await tx.blobs.absent_from(
        repository_id, [reference.digest for reference in references if reference.kind != "manifest"]
    )
    manifests = await tx.manifests.absent_from(
        repository_id, [reference.digest for reference in references if reference.kind == "manifest"]
    )
    missing_blobs = [digest for digest in blobs if digest in required]
    missing_manifests = [digest for digest in manifests if digest in required]
    if missing_blobs or missing_manifests:
        raise ManifestReferencesMissingError(missing_blobs, missing_manifests)


def manifest_row(
    push: ManifestPush,
    references: tuple[ImageReference, ...],
    repository_id: int,
    digest: Digest,
    key: str,
    creator: str,
) -> NewManifest:
    """Return the row of a manifest whose bytes lie under `key`."""
    parsed = push.parsed
    return NewManifest(
        repository_id=repository_id,
        digest=digest,
        media_type=parsed.media_type,
        artifact_type=parsed.artifact_type,
        body=push.body,
        storage_key=key,
        config_media_type=parsed.config.media_type if parsed.config is not None else None,
        subject=parsed.subject.digest if parsed.subject is not None else None,
        annotations_json=msgspec.json.encode(parsed.annotations),
        references=references,
        creator=creator,
    )


def references_of(parsed: ParsedManifest, *, sparse: bool) -> tuple[ImageReference, ...]:
    """Return all that a manifest keeps alive, each digest once.

    Layers that may lie elsewhere need not be there, nor the entries of an index where sparse ones are accepted.
    """
    config = parsed.config.digest if parsed.config is not None else None
    required = not (sparse and parsed.is_index)
    blobs = [
        _reference("config" if blob.digest == config else "layer", blob, required=required)
        for blob in parsed.blob_references
    ]
    named = {reference.digest for reference in blobs}
    elsewhere = [
        _reference("layer", layer, required=False)
        for layer in parsed.non_distributable_layers
        if layer.digest not in named
    ]
    children = [_reference("manifest", child, required=required) for child in parsed.children]
    return (*blobs, *elsewhere, *children)


def _reference(kind: ReferenceKind, descriptor: Descriptor, *, required: bool) -> ImageReference:
    return ImageReference(kind, descriptor.digest, descriptor.size, descriptor.media_type, required)


def _payload(push: ManifestPush, digest: Digest, key: str) -> dict[str, object]:
    tags = [tag.text for tag in push.tags]
    return {"digest": str(digest), "media_type": push.parsed.media_type, "key": key, "tags": tags}
