"""Cross-repository mounts: a repository gets a link to a blob that the caller may pull from another one (S3, S6).

A mount needs two grants, one to push to the target and one to pull from the source, and it never answers a question the
caller could not have asked by a pull. It revives nothing: a blob that is condemned is on its way out, and the client's
upload, to which it falls back, makes it live again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.metadata.records import NewBlob, StoredBlob
from entrepot.registry.audit import blob_record, departure_record
from entrepot.registry.pushes.blob_publication import link_into
from entrepot.registry.repository_access import granted_repository

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.grants import Grant, Pull, Push
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest

__all__ = ["Mounts"]

_MOST_SOURCES: Final = 32
"""Repositories a mount without `from` looks at; a caller who may pull from none of them uploads instead."""


class Mounts:
    """Links blobs across repositories. A mount that is possible costs one read and one commit."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    async def sources(self, digest: Digest) -> Sequence[str]:
        """Return names of some repositories that have the blob.

        They tell what exists: whoever calls this asks for a pull grant on each before it uses or shows one.
        """
        return await self._metadata.mounts.repositories_with(digest, _MOST_SOURCES)

    async def mount(self, target: Grant[Push], source: Grant[Pull], digest: Digest) -> bool:
        """Link the blob to the target; `False` when the source has no such live blob. Repeating it is fine."""
        found = await self._metadata.blobs.find(source.repository.text, digest)
        if not isinstance(found, StoredBlob):
            return False
        subject = target.principal.subject
        records = _records(target, source, digest)

        async def unit(tx: Transaction) -> bool:
            blob = await tx.mounts.hold_source(source.repository.text, digest)
            if blob is None:
                return False
            repository = await granted_repository(tx, target)
            linked = NewBlob(digest, blob.size_bytes, blob.storage_key, subject)
            await link_into(tx, repository.id, target, blob.id, linked)
            await tx.audit.extend(records)
            return True

        return await self._metadata.write(unit)


def _records(target: Grant[Push], source: Grant[Pull], digest: Digest) -> Sequence[NewAuditRecord]:
    """Return what is told of a mount: to the target's project, and to the source's, which the blob leaves."""
    mounted = blob_record(target, AuditAction.BLOB_MOUNT, digest, {"from": source.repository.text})
    if source.repository.project == target.repository.project:
        return (mounted,)
    return (mounted, departure_record(source, digest))
