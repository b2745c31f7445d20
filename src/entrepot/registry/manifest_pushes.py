"""Pushing manifests: everything they name must be there, their bytes come before their rows, and a tag moves last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from entrepot.blobstore.keys import manifest_key
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.records import ImageReference, Missing, NewManifest, OutboxFact
from entrepot.registry.errors import (
    DigestMismatchError,
    ManifestBytesGoneError,
    ManifestReferencesMissingError,
)

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Push
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.descriptor import Descriptor
    from entrepot.oci.digest import Digest
    from entrepot.oci.manifest import ParsedManifest
    from entrepot.oci.names import TagName
    from entrepot.registry.hashing import HashingPool
    from entrepot.registry.journal import Journal

__all__ = ["ManifestPush", "ManifestPushes", "PushedManifest"]

_FACT_KIND = "manifest.put"


@dataclass(frozen=True, slots=True)
class ManifestPush:
    """A manifest as a client sent it: exact bytes, what they say, and where they shall be found.

    Attributes:
        digest: what the client claims the bytes hash to, or what it has to be computed with.
        claimed: whether the client named `digest`; then it is verified.
        tag: the tag to move, if any.
    """

    body: bytes
    parsed: ParsedManifest
    claimed: Digest | None
    tag: TagName | None


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """What became of a push."""

    digest: Digest
    subject: Digest | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    used_key: str
    sequence: int | None
    payload: bytes


class ManifestPushes:
    """Stores manifests and moves tags."""

    def __init__(self, metadata: Metadata, blobs: BlobStore, journal: Journal, hashing: HashingPool) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._journal = journal
        self._hashing = hashing

    async def push(self, grant: Grant[Push], push: ManifestPush) -> PushedManifest:
        """Store the manifest in the granted repository, and point the tag at it, or do nothing at all.

        Raises:
            DigestMismatchError: the bytes do not hash to the claimed digest.
            ManifestReferencesMissingError: the repository lacks a blob or manifest that it names.
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
        async def unit(tx: Transaction) -> _Outcome:
            return await _put(tx, grant, push, digest, key)

        try:
            outcome = await self._metadata.write(unit)
        except ManifestReferencesMissingError:
            await self._drop(key)
            raise
        reach(Failpoint.MANIFEST_COMMITTED)
        if outcome.sequence is not None:
            await self._journal.write_entry(
                outcome.sequence, _FACT_KIND, grant.repository.text, grant.principal.subject, outcome.payload
            )
        if outcome.used_key != key:
            await self._drop(key)
        return PushedManifest(digest, push.parsed.subject.digest if push.parsed.subject is not None else None)

    async def _drop(self, key: str) -> None:
        if key:
            await self._blobs.delete(key)


async def _put(tx: Transaction, grant: Grant[Push], push: ManifestPush, digest: Digest, key: str) -> _Outcome:
    """The unit of a push: all of it, or none."""
    name, subject = grant.repository, grant.principal.subject
    repository = await tx.repositories.ensure(name.text, name.project, subject)
    await _require_references(tx, repository.id, push.parsed)
    used_key = await tx.manifests.body_key(digest) or key
    if not used_key:
        raise ManifestBytesGoneError("the manifest's bytes were collected meanwhile")
    created = await tx.manifests.put(_row(push, repository.id, digest, used_key, subject))
    moved = (
        push.tag is not None and await tx.tags.put(repository.id, push.tag.text, digest, subject) != digest
    )
    payload = _payload(push, digest, used_key)
    if not created and not moved:
        return _Outcome(used_key, None, payload)
    sequence = await tx.outbox.append(OutboxFact(_FACT_KIND, name.text, subject, payload, journalled=True))
    return _Outcome(used_key, sequence, payload)


async def _require_references(tx: Transaction, repository_id: int, parsed: ParsedManifest) -> None:
    blobs = await tx.blobs.absent_from(repository_id, _digests(parsed.blob_references))
    manifests = await tx.manifests.absent_from(repository_id, _digests(parsed.children))
    if blobs or manifests:
        raise ManifestReferencesMissingError(blobs, manifests)


def _digests(descriptors: tuple[Descriptor, ...]) -> tuple[Digest, ...]:
    return tuple(dict.fromkeys(descriptor.digest for descriptor in descriptors))


def _row(push: ManifestPush, repository_id: int, digest: Digest, key: str, creator: str) -> NewManifest:
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
        references=_references(parsed),
        creator=creator,
    )


def _references(parsed: ParsedManifest) -> tuple[ImageReference, ...]:
    config = parsed.config.digest if parsed.config is not None else None
    blobs = tuple(
        ImageReference(
            "config" if blob.digest == config else "layer", blob.digest, blob.size, blob.media_type
        )
        for blob in parsed.blob_references
    )
    children = tuple(
        ImageReference("manifest", one.digest, one.size, one.media_type) for one in parsed.children
    )
    return blobs + children


def _payload(push: ManifestPush, digest: Digest, key: str) -> bytes:
    tags = [push.tag.text] if push.tag is not None else []
    return msgspec.json.encode(
        {"digest": str(digest), "media_type": push.parsed.media_type, "key": key, "tags": tags}
    )
