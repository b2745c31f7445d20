"""A rehearsal of an import: where it would go, seen but not changed, whether or not there is a registry yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from entrepot.metadata.records import StoredManifest
from entrepot.transfer.source import LocalFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.oci.descriptor import Descriptor
    from entrepot.oci.digest import Digest
    from entrepot.oci.manifest import ParsedManifest
    from entrepot.oci.names import RepositoryName, TagName
    from entrepot.registry.pushes.tag_conditions import TagCondition
    from entrepot.transfer.source import BlobOrigin
    from entrepot.transfer.target import BlobTransfer

__all__ = ["NoRegistry", "RehearsedTarget", "SeenRegistry"]


class SeenRegistry(Protocol):
    """What a rehearsal asks of a registry."""

    async def find_tag(self, repository: RepositoryName, tag: TagName) -> Digest | None:
        """Return what a tag points at, `None` without such a tag."""
        ...

    async def find_manifest(self, repository: RepositoryName, digest: Digest) -> StoredManifest | None:
        """Return a manifest with its bytes, `None` without one."""
        ...

    async def has_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Whether the repository has the blob."""
        ...

    async def is_anywhere(self, digest: Digest) -> bool:
        """Whether some repository has the blob."""
        ...


class NoRegistry:
    """A registry that is not there yet, so that it has nothing."""

    async def find_tag(self, repository: RepositoryName, tag: TagName) -> Digest | None:
        """Return nothing."""
        return None

    async def find_manifest(self, repository: RepositoryName, digest: Digest) -> StoredManifest | None:
        """Return nothing."""
        return None

    async def has_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Return that it is not there."""
        return False

    async def is_anywhere(self, digest: Digest) -> bool:
        """Return that it is not there."""
        return False


class RehearsedTarget:
    """This registry, seen but not changed: what would be stored is remembered and then found, as if it were there."""

    def __init__(self, registry: SeenRegistry) -> None:
        self._registry = registry
        self._blobs: set[tuple[str, Digest]] = set()
        self._anywhere: set[Digest] = set()
        self._manifests: dict[tuple[str, Digest], StoredManifest] = {}
        self._tags: dict[tuple[str, str], Digest] = {}

    async def find_tag(self, repository: RepositoryName, tag: TagName) -> Digest | None:
        """Return what the tag would point at."""
        rehearsed = self._tags.get((repository.text, tag.text))
        return rehearsed or await self._registry.find_tag(repository, tag)

    async def find_manifest(self, repository: RepositoryName, digest: Digest) -> StoredManifest | None:
        """Return what would be there."""
        rehearsed = self._manifests.get((repository.text, digest))
        return rehearsed or await self._registry.find_manifest(repository, digest)

    async def has_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Whether it would be there."""
        return (repository.text, digest) in self._blobs or await self._registry.has_blob(repository, digest)

    async def mount_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Whether it could be mounted."""
        if digest not in self._anywhere and not await self._registry.is_anywhere(digest):
            return False
        self._blobs.add((repository.text, digest))
        return True

    async def store_blob(
        self, repository: RepositoryName, blob: Descriptor, origin: BlobOrigin, count: Callable[[int], None]
    ) -> BlobTransfer:
        """Remember it; its bytes are not read."""
        if not isinstance(origin, LocalFile):
            await origin.chunks.aclose()
        count(blob.size)
        self._blobs.add((repository.text, blob.digest))
        self._anywhere.add(blob.digest)
        return "copied" if isinstance(origin, LocalFile) else "received"

    async def store_manifest(
        self,
        repository: RepositoryName,
        manifest: ParsedManifest,
        body: bytes,
        digest: Digest,
        tag: TagName | None,
        condition: TagCondition,
    ) -> None:
        """Remember it. Tags do not move in between, so their condition holds."""
        found = StoredManifest(digest, manifest.media_type, len(body), body)
        self._manifests[repository.text, digest] = found
        if tag is not None:
            self._tags[repository.text, tag.text] = digest
