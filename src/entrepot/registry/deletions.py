"""Deleting tags, manifests and a repository's links to blobs: what is in use stays, what is deleted stays deleted (I5).

Nothing here removes bytes: what nobody refers to any more is left to the collector. Each delete is one unit. It locks
the row that pushes hold while they refer to it, and only then looks who refers to it; so either the push comes first
and the delete is refused, or the delete comes first and the push finds the thing missing (I2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.records import OutboxFact
from entrepot.registry.errors import (
    BlobUnknownError,
    ContentInUseError,
    ManifestUnknownError,
    RepositoryUnknownError,
)

if TYPE_CHECKING:
    from entrepot.auth.grants import Delete, Grant
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from entrepot.oci.names import TagName
    from entrepot.registry.journal import Journal

__all__ = ["Deletions"]

_TAG_DELETED: Final = "tag.delete"
_MANIFEST_DELETED: Final = "manifest.delete"
_BLOB_UNLINKED: Final = "blob.unlinked"
_NAMED_REFERRERS: Final = 5
"""How many manifests a refusal names; the first is enough to go on."""


@dataclass(frozen=True, slots=True)
class _Deleted:
    """The fact that a unit recorded."""

    sequence: int
    kind: str
    payload: bytes


class Deletions:
    """Deletes what a grant allows to; each call is one unit, and the journal tells of it before it returns."""

    def __init__(self, metadata: Metadata, journal: Journal) -> None:
        self._metadata = metadata
        self._journal = journal

    async def delete_tag(self, grant: Grant[Delete], tag: TagName) -> None:
        """Delete a tag; its manifest stays.

        Raises:
            RepositoryUnknownError, ManifestUnknownError: there is no such tag.
        """

        async def unit(tx: Transaction) -> _Deleted:
            repository_id = await _require_repository(tx, grant)
            digest = await tx.tags.remove(repository_id, tag.text, grant.principal.subject)
            if digest is None:
                raise ManifestUnknownError(grant.repository, tag.text)
            payload = msgspec.json.encode({"tag": tag.text, "digest": str(digest)})
            fact = OutboxFact(
                _TAG_DELETED, grant.repository.text, grant.principal.subject, payload, journalled=True
            )
            return _Deleted(await tx.outbox.append(fact), _TAG_DELETED, payload)

        deleted = await self._metadata.write(unit)
        reach(Failpoint.DELETE_COMMITTED)
        await self._write_entry(grant, deleted)

    async def delete_manifest(self, grant: Grant[Delete], digest: Digest) -> None:
        """Delete a manifest and every tag that points at it.

        Raises:
            RepositoryUnknownError, ManifestUnknownError: there is no such manifest.
            ContentInUseError: an index of the repository lists it.
        """

        async def unit(tx: Transaction) -> _Deleted:
            repository_id = await _require_repository(tx, grant)
            manifest_id = await tx.manifests.hold(repository_id, digest)
            if manifest_id is None:
                raise ManifestUnknownError(grant.repository, str(digest))
            indexes = await tx.references.indexes_with_manifest(
                repository_id, manifest_id, digest, _NAMED_REFERRERS
            )
            if indexes:
                raise ContentInUseError(digest, indexes)
            await tx.manifests.condemn(manifest_id)
            tags = await tx.tags.remove_all_of(repository_id, manifest_id, digest, grant.principal.subject)
            payload = msgspec.json.encode({"digest": str(digest), "tags": list(tags)})
            fact = OutboxFact(
                _MANIFEST_DELETED, grant.repository.text, grant.principal.subject, payload, journalled=True
            )
            return _Deleted(await tx.outbox.append(fact), _MANIFEST_DELETED, payload)

        deleted = await self._metadata.write(unit)
        reach(Failpoint.DELETE_COMMITTED)
        await self._write_entry(grant, deleted)

    async def delete_blob(self, grant: Grant[Delete], digest: Digest) -> None:
        """Remove the repository's link to a blob; other repositories keep theirs.

        The fact waits for the next segment of the journal: a link that comes back when the registry is rebuilt from its
        store shows bytes that were its repository's own, and no manifest refers to them.

        Raises:
            RepositoryUnknownError, BlobUnknownError: the repository has no such blob.
            ContentInUseError: a manifest of the repository refers to it.
        """

        async def unit(tx: Transaction) -> None:
            repository_id = await _require_repository(tx, grant)
            blob_id = await tx.blobs.hold_link(repository_id, digest)
            if blob_id is None:
                raise BlobUnknownError(grant.repository, digest)
            manifests = await tx.references.manifests_with_blob(
                repository_id, blob_id, digest, _NAMED_REFERRERS
            )
            if manifests:
                raise ContentInUseError(digest, manifests)
            await tx.blobs.unlink(repository_id, blob_id)
            payload = msgspec.json.encode({"digest": str(digest)})
            fact = OutboxFact(
                _BLOB_UNLINKED, grant.repository.text, grant.principal.subject, payload, journalled=True
            )
            await tx.outbox.append(fact)

        await self._metadata.write(unit)
        reach(Failpoint.DELETE_COMMITTED)

    async def _write_entry(self, grant: Grant[Delete], deleted: _Deleted) -> None:
        await self._journal.write_entry(
            deleted.sequence, deleted.kind, grant.repository.text, grant.principal.subject, deleted.payload
        )


async def _require_repository(tx: Transaction, grant: Grant[Delete]) -> int:
    found = await tx.repositories.find(grant.repository.text)
    if found is None:
        raise RepositoryUnknownError(grant.repository)
    return found.id
