"""Pulling manifests and listing tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.metadata.records import Missing, NamePage, StoredManifest
from entrepot.oci.digest import Digest
from entrepot.registry.errors import ContentDamagedError, ManifestUnknownError, RepositoryUnknownError

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull
    from entrepot.metadata.store import Metadata
    from entrepot.oci.names import RepositoryName, TagName
    from entrepot.registry.hashing import HashingPool

__all__ = ["Manifests"]


class Manifests:
    """Reads manifests and tags; each call costs one SQL statement."""

    def __init__(self, metadata: Metadata, hashing: HashingPool) -> None:
        self._manifests = metadata.manifests
        self._tags = metadata.tags
        self._hashing = hashing

    async def pull(self, grant: Grant[Pull], reference: TagName | Digest) -> StoredManifest:
        """Return a manifest with its exact bytes, which were hashed again just now (I3).

        Raises:
            RepositoryUnknownError, ManifestUnknownError: there is none.
            ContentDamagedError: the stored bytes are not those that were pushed.
        """
        if isinstance(reference, Digest):
            found = await self._manifests.find_by_digest(grant.repository.text, reference)
        else:
            found = await self._manifests.find_by_tag(grant.repository.text, reference.text)
        manifest = _require(found, grant.repository, str(reference))
        actual = await self._hashing.digest_bytes(manifest.body, manifest.digest.algorithm)
        if actual != manifest.digest:
            raise ContentDamagedError(manifest.digest, f"the bytes in the database hash to {actual}")
        return manifest

    async def describe(self, grant: Grant[Pull], reference: TagName | Digest) -> StoredManifest:
        """Return a manifest's properties with an empty body.

        Raises:
            RepositoryUnknownError, ManifestUnknownError: there is none.
        """
        if isinstance(reference, Digest):
            found = await self._manifests.describe_by_digest(grant.repository.text, reference)
        else:
            found = await self._manifests.describe_by_tag(grant.repository.text, reference.text)
        return _require(found, grant.repository, str(reference))

    async def list_tags(self, grant: Grant[Pull], after: str, limit: int) -> NamePage:
        """Return up to `limit` tag names after `after`, in byte order.

        Raises:
            RepositoryUnknownError: there is no such repository.
        """
        page = await self._tags.list_names(grant.repository.text, after, limit)
        if isinstance(page, Missing):
            raise RepositoryUnknownError(grant.repository)
        return page


def _require(found: StoredManifest | Missing, repository: RepositoryName, reference: str) -> StoredManifest:
    if found is Missing.REPOSITORY:
        raise RepositoryUnknownError(repository)
    if isinstance(found, Missing):
        raise ManifestUnknownError(repository, reference)
    return found
