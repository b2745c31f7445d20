"""Where an import goes: the services of this registry, with the grants of the operator of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from entrepot.auth.grants import Pull, Push
from entrepot.auth.host import HostAuthorizer, host_operator
from entrepot.oci.names import RepositoryName
from entrepot.registry.errors import BlobUnknownError, ManifestUnknownError, RepositoryUnknownError
from entrepot.registry.pushes.file_pushes import PushableFile
from entrepot.registry.pushes.manifests import ManifestPush
from entrepot.transfer.source import LocalFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from entrepot.blobstore.driver import Sharing
    from entrepot.metadata.records import StoredManifest
    from entrepot.oci.descriptor import Descriptor
    from entrepot.oci.digest import Digest
    from entrepot.oci.manifest import ParsedManifest
    from entrepot.oci.names import TagName
    from entrepot.registry.pulls.blobs import Blobs
    from entrepot.registry.pulls.manifests import Manifests
    from entrepot.registry.pushes.file_pushes import FilePushes, FileTransfer
    from entrepot.registry.pushes.manifests import ManifestPushes
    from entrepot.registry.pushes.mounts import Mounts
    from entrepot.registry.pushes.tag_conditions import TagCondition
    from entrepot.registry.pushes.uploads import Uploads
    from entrepot.transfer.source import BlobOrigin

__all__ = [
    "BlobTransfer",
    "ImportTarget",
    "LinkPolicy",
    "RegistryServices",
    "RegistryTarget",
]

LinkPolicy: TypeAlias = Literal["auto", "always", "never"]
"""When a blob that is a file is hard-linked instead of copied.

`auto`: when the program that wrote the file never changes it in place and the file belongs to this process's user;
`always`: whenever the file system allows it; `never`: not at all. A clone is tried in any case.
"""

BlobTransfer: TypeAlias = "FileTransfer | Literal['received', 'mounted']"

_CLONE: Final[tuple[Sharing, ...]] = ("clone",)
_LINK_OR_CLONE: Final[tuple[Sharing, ...]] = ("link", "clone")


@dataclass(frozen=True, slots=True)
class RegistryServices:
    """The services that an import or export calls."""

    manifests: Manifests
    manifest_pushes: ManifestPushes
    blobs: Blobs
    mounts: Mounts
    uploads: Uploads
    file_pushes: FilePushes


class ImportTarget(Protocol):
    """What an import asks of its target, and does to it. Errors of the stores end an import."""

    async def find_tag(self, repository: RepositoryName, tag: TagName) -> Digest | None:
        """Return what a tag points at, `None` without such a tag."""
        ...

    async def find_manifest(self, repository: RepositoryName, digest: Digest) -> StoredManifest | None:
        """Return a manifest with its bytes, `None` without one. What it refers to is there as well."""
        ...

    async def has_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Whether the repository has the blob."""
        ...

    async def mount_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Give the repository a blob that another repository has; `False` when none has it."""
        ...

    async def store_blob(
        self, repository: RepositoryName, blob: Descriptor, origin: BlobOrigin, count: Callable[[int], None]
    ) -> BlobTransfer:
        """Store a blob and return how its bytes got there; `count` is told of bytes as they come.

        Raises:
            DigestMismatchError, SourceInterruptedError, SourceError: the source is at fault; nothing is kept.
        """
        ...

    async def store_manifest(
        self,
        repository: RepositoryName,
        manifest: ParsedManifest,
        body: bytes,
        digest: Digest,
        tag: TagName | None,
        condition: TagCondition,
    ) -> None:
        """Store a manifest, and point a tag at it.

        Raises:
            ManifestReferencesMissingError, TagConditionError: nothing is kept.
        """


class RegistryTarget:
    """This registry."""

    def __init__(self, services: RegistryServices, links: LinkPolicy, user_id: int) -> None:
        self._services = services
        self._links = links
        self._user_id = user_id
        self._authorizer = HostAuthorizer()
        self._principal = host_operator()

    async def find_tag(self, repository: RepositoryName, tag: TagName) -> Digest | None:
        """Ask for the tag's row."""
        grant = await self._authorizer.authorize(self._principal, Pull, repository)
        try:
            return (await self._services.manifests.describe(grant, tag)).digest
        except (RepositoryUnknownError, ManifestUnknownError):
            return None

    async def find_manifest(self, repository: RepositoryName, digest: Digest) -> StoredManifest | None:
        """Ask for the manifest's row."""
        grant = await self._authorizer.authorize(self._principal, Pull, repository)
        try:
            return await self._services.manifests.pull(grant, digest)
        except (RepositoryUnknownError, ManifestUnknownError):
            return None

    async def has_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Ask for the link's row."""
        grant = await self._authorizer.authorize(self._principal, Pull, repository)
        try:
            await self._services.blobs.find(grant, digest)
        except (RepositoryUnknownError, BlobUnknownError):
            return False
        return True

    async def mount_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Mount it from any repository."""
        push = await self._authorizer.authorize(self._principal, Push, repository)
        for name in await self._services.mounts.sources(digest):
            pull = await self._authorizer.authorize(self._principal, Pull, RepositoryName.parse(name))
            if await self._services.mounts.mount(push, pull, digest):
                return True
        return False

    async def is_anywhere(self, digest: Digest) -> bool:
        """Whether some repository has the blob."""
        return bool(await self._services.mounts.sources(digest))

    async def store_blob(
        self, repository: RepositoryName, blob: Descriptor, origin: BlobOrigin, count: Callable[[int], None]
    ) -> BlobTransfer:
        """Push it."""
        grant = await self._authorizer.authorize(self._principal, Push, repository)
        if isinstance(origin, LocalFile):
            file = PushableFile(origin.path, self._sharing(origin))
            transfer = await self._services.file_pushes.push(grant, blob.digest, file)
            count(blob.size)
            return transfer
        chunks = _counted(origin.chunks, count)
        try:
            await self._services.uploads.push_whole(grant, blob.digest, chunks)
        finally:
            await chunks.aclose()
        return "received"

    async def store_manifest(
        self,
        repository: RepositoryName,
        manifest: ParsedManifest,
        body: bytes,
        digest: Digest,
        tag: TagName | None,
        condition: TagCondition,
    ) -> None:
        """Push it."""
        grant = await self._authorizer.authorize(self._principal, Push, repository)
        tags = () if tag is None else (tag,)
        await self._services.manifest_pushes.push(
            grant, ManifestPush(body, manifest, digest, tags, condition)
        )

    def _sharing(self, file: LocalFile) -> tuple[Sharing, ...]:
        if self._links == "always":
            return _LINK_OR_CLONE
        if self._links == "never" or not file.is_immutable or not self._owns(file.path):
            return _CLONE
        return _LINK_OR_CLONE

    def _owns(self, path: Path) -> bool:
        """Whether nobody else owns the file: an owner can change it at any time, through whichever name."""
        try:
            return path.lstat().st_uid == self._user_id
        except OSError:
            return False  # reading it will say why


async def _counted(chunks: AsyncGenerator[bytes], count: Callable[[int], None]) -> AsyncGenerator[bytes]:
    try:
        async for chunk in chunks:
            count(len(chunk))
            yield chunk
    finally:
        await chunks.aclose()
