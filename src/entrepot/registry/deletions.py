"""Deleting tags, manifests and a repository's links to blobs: what is in use stays, what is deleted stays deleted (I5).

Nothing here removes bytes: what nobody refers to any more is left to the collector. Each delete is one unit. It locks
the row that pushes hold while they refer to it, and only then looks who refers to it; so either the push comes first
and the delete is refused, or the delete comes first and the push finds the thing missing (I2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.registry.audit import blob_record, manifest_record
from entrepot.registry.errors import (
    BlobUnknownError,
    ContentInUseError,
    ManifestUnknownError,
    RepositoryUnknownError,
)
from entrepot.registry.journal.facts import RecordedFact, journalled_fact

if TYPE_CHECKING:
    from entrepot.auth.grants import Delete, Grant
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from entrepot.oci.names import TagName
    from entrepot.registry.journal.writer import Journal

__all__ = ["Deletions"]

_TAG_DELETED: Final = "tag.delete"
_MANIFEST_DELETED: Final = "manifest.delete"
_BLOB_UNLINKED: Final = "blob.unlinked"
_NAMED_REFERRERS: Final = 5
"""How many manifests a refusal names; the first is enough to go on."""


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
        record_id = new_public_id()

        async def unit(tx: Transaction) -> RecordedFact:
            repository_id = await _require_repository(tx, grant)
            digest = await tx.tags.remove(repository_id, tag.text, grant.principal.subject)
            if digest is None:
                raise ManifestUnknownError(grant.repository, tag.text)
            await tx.audit.append(
                manifest_record(
                    grant,
                    AuditAction.TAG_DELETE,
                    digest,
                    {tag.text: str(digest)},
                    {tag.text: None},
                    record_id=record_id,
                )
            )
            fact = journalled_fact(grant, _TAG_DELETED, {"tag": tag.text, "digest": str(digest)})
            return RecordedFact(await tx.outbox.append(fact), fact)

        deleted = await self._metadata.write(unit)
        reach(Failpoint.DELETE_COMMITTED)
        await self._journal.write_entry(deleted)

    async def delete_manifest(self, grant: Grant[Delete], digest: Digest) -> None:
        """Delete a manifest and every tag that points at it.

        Raises:
            RepositoryUnknownError, ManifestUnknownError: there is no such manifest.
            ContentInUseError: an index of the repository lists it.
        """
        record_id = new_public_id()

        async def unit(tx: Transaction) -> RecordedFact:
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
            before = dict.fromkeys(tags, str(digest))
            after: dict[str, str | None] = dict.fromkeys(tags)
            await tx.audit.append(
                manifest_record(
                    grant, AuditAction.MANIFEST_DELETE, digest, before, after, record_id=record_id
                )
            )
            fact = journalled_fact(grant, _MANIFEST_DELETED, {"digest": str(digest), "tags": list(tags)})
            return RecordedFact(await tx.outbox.append(fact), fact)

        deleted = await self._metadata.write(unit)
        reach(Failpoint.DELETE_COMMITTED)
        await self._journal.write_entry(deleted)

    async def delete_blob(self, grant: Grant[Delete], digest: Digest) -> None:
        """Remove the repository's link to a blob; other repositories keep theirs.

        The fact waits for the next segment of the journal: a link that comes back when the registry is rebuilt from its
        store shows bytes that were its repository's own, and no manifest refers to them.

        Raises:
            RepositoryUnknownError, BlobUnknownError: the repository has no such blob.
            ContentInUseError: a manifest of the repository refers to it.
        """
        record = blob_record(grant, AuditAction.BLOB_DELETE, digest)

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
            await tx.audit.append(record)
            await tx.outbox.append(journalled_fact(grant, _BLOB_UNLINKED, {"digest": str(digest)}))

        await self._metadata.write(unit)
        reach(Failpoint.DELETE_COMMITTED)


async def _require_repository(tx: Transaction, grant: Grant[Delete]) -> int:
    found = await tx.repositories.find(grant.repository.text)
    if found is None:
        raise RepositoryUnknownError(grant.repository)
    return found.id
