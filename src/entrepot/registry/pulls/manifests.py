"""Pulling manifests and listing tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from entrepot.metadata.records import Missing, NamePage, StoredManifest
from entrepot.oci.digest import Digest
from entrepot.oci.names import TagName
from entrepot.registry.errors import ContentDamagedError, ManifestUnknownError, RepositoryUnknownError
from entrepot.registry.pulls.tag_memory import TagMemory

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull
    from entrepot.metadata.store import Metadata
    from entrepot.oci.names import RepositoryName
    from entrepot.registry.hashing import HashingPool
    from entrepot.registry.pulls.content_cache import ContentCache

__all__ = ["Manifests"]


class Manifests:
    """Reads manifests and tags; each call costs one SQL statement at most.

    Which manifest a tag points at, and whether a repository has it, is asked of the metadata at every pull; its bytes,
    which never change, are not while they are in memory.
    """

    def __init__(self, metadata: Metadata, hashing: HashingPool, cache: ContentCache) -> None:
        self._manifests = metadata.manifests
        self._tags = metadata.tags
        self._hashing = hashing
        self._cache = cache
        self._last_seen = TagMemory()

    async def pull(self, grant: Grant[Pull], reference: TagName | Digest) -> StoredManifest:
        """Return a manifest with its exact bytes, hashed when they were read from the database (I3).

        Raises:
            RepositoryUnknownError, ManifestUnknownError: there is none.
            ContentDamagedError: the stored bytes are not those that were pushed.
        """
        repository = grant.repository.text
        known, body = self._recall(repository, reference)
        if isinstance(reference, Digest):
            found = await self._manifests.find_by_digest(repository, reference, known)
        else:
            found = await self._manifests.find_by_tag(repository, reference.text, known)
        manifest = _require(found, grant.repository, str(reference))
        if manifest.digest == known:
            return msgspec.structs.replace(manifest, body=body)
        await self._verify(manifest)
        if isinstance(reference, TagName):
            self._last_seen.put(repository, reference.text, manifest.digest)
        return manifest

    def _recall(self, repository: str, reference: TagName | Digest) -> tuple[Digest | None, bytes]:
        """Return what the manifest is likely to be, where its bytes are in memory."""
        if isinstance(reference, Digest):
            likely: Digest | None = reference
        else:
            likely = self._last_seen.get(repository, reference.text)
        body = None if likely is None else self._cache.get(likely)
        return (None, b"") if body is None else (likely, body)

    async def _verify(self, manifest: StoredManifest) -> None:
        actual = await self._hashing.digest_bytes(manifest.body, manifest.digest.algorithm)
        if actual != manifest.digest:
            raise ContentDamagedError(manifest.digest, f"the bytes in the database hash to {actual}")
        self._cache.put(manifest.digest, manifest.body)

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
