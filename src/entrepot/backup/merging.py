"""Brings single repositories of a snapshot into a registry that runs, by pushing them as a client would.

So everything that holds for pushes holds here: bytes before rows, facts in the journal, blobs shared across the
registry. Repeating it, also after it was killed, pushes only what is not there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from entrepot.auth.grants import Pull, Push
from entrepot.backup.blob_index import index_blobs
from entrepot.backup.blob_transfer import read_from_repository
from entrepot.backup.errors import BackupDamagedError
from entrepot.backup.manifest_order import children_first, in_groups
from entrepot.backup.selection import read_bodies
from entrepot.backup.workers import work_on_all
from entrepot.kernel.pace import Pace
from entrepot.metadata.records import Missing
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import InvalidManifestError, UnsupportedManifestError, parse_manifest
from entrepot.oci.names import RepositoryName, TagName
from entrepot.registry.errors import DigestMismatchError, ManifestReferencesMissingError, TagConditionError
from entrepot.registry.pushes.manifests import ManifestPush
from entrepot.registry.pushes.tag_conditions import UNCONDITIONAL, TagCondition

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from entrepot.auth.grants import Authorizer, Grant
    from entrepot.auth.principals import Principal
    from entrepot.backup.blob_index import BlobIndex
    from entrepot.backup.format import SnapshotManifest
    from entrepot.backup.observer import BackupObserver
    from entrepot.backup.repository import BackupRepository
    from entrepot.backup.selection import SavedManifest, SavedRepository
    from entrepot.metadata.store import Metadata
    from entrepot.oci.manifest import ParsedManifest
    from entrepot.registry.pushes.manifests import ManifestPushes
    from entrepot.registry.pushes.mounts import Mounts
    from entrepot.registry.pushes.uploads import Uploads

__all__ = ["MergeOptions", "MergeParts", "MergeReport", "RepositoryMerge"]


@dataclass(frozen=True, slots=True)
class MergeParts:
    """What pushes go through."""

    metadata: Metadata
    uploads: Uploads
    mounts: Mounts
    manifest_pushes: ManifestPushes
    authorizer: Authorizer
    principal: Principal


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """How it is done.

    Attributes:
        new_name: what the only repository is called here; empty: as in the snapshot.
        overwrite: whether tags that point elsewhere here are moved.
        dry_run: whether only to tell what would be done.
    """

    new_name: str = ""
    overwrite: bool = False
    dry_run: bool = False
    parallel: int = 4
    bytes_per_second: int | None = None


@dataclass(slots=True)
class MergeReport:
    """What was pushed, or would be.

    Attributes:
        kept_tags: tags that point at something else here and were left, as `name:tag`.
        failed: what could not be restored, and why.
    """

    repositories: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    manifests: int = 0
    tags: int = 0
    kept_tags: list[str] = field(default_factory=list[str])
    failed: dict[str, str] = field(default_factory=dict[str, str])


class RepositoryMerge:
    """One run."""

    def __init__(
        self,
        parts: MergeParts,
        repository: BackupRepository,
        manifest: SnapshotManifest,
        options: MergeOptions,
        observer: BackupObserver,
    ) -> None:
        self._parts = parts
        self._repository = repository
        self._manifest = manifest
        self._options = options
        self._observer = observer
        self._pace = Pace(options.bytes_per_second)
        self._report = MergeReport()

    async def run(self, chosen: Sequence[SavedRepository]) -> MergeReport:
        """Push what the chosen repositories had and this registry has not.

        Raises:
            BackupDamagedError: rows can't be read.
            MetadataError, BlobStoreError: it broke off; run it again.
        """
        index = await index_blobs(self._repository.store)
        for saved in chosen:
            name = RepositoryName.parse(self._options.new_name or saved.name)
            self._observer.say(f"{saved.name}" if name.text == saved.name else f"{saved.name} as {name}")
            await self._push_blobs(saved, name, index)
            for group in in_groups(saved.manifests):
                await self._push_manifests(group, name)
            self._report.repositories += 1
        return self._report

    async def _push_blobs(self, saved: SavedRepository, name: RepositoryName, index: BlobIndex) -> None:
        self._observer.begin(f"blobs of {name}", sum(saved.blobs.values()))
        grant = await self._parts.authorizer.authorize(self._parts.principal, Push, name)

        async def push(item: tuple[str, int]) -> None:
            digest = Digest.parse(item[0])
            try:
                await self._push_blob(grant, digest, item[1], index)
            except (BackupDamagedError, DigestMismatchError) as error:
                self._fail(f"{name}@{digest}", str(error))
            self._observer.advance(item[1], item[0])

        await work_on_all(_each(saved.blobs.items()), push, self._options.parallel)

    async def _push_blob(self, grant: Grant[Push], digest: Digest, size_bytes: int, index: BlobIndex) -> None:
        found = await self._parts.metadata.blobs.find(grant.repository.text, digest)
        if not isinstance(found, Missing):
            return
        if self._options.dry_run:
            self._count_blob(size_bytes)
            return
        for other in await self._parts.mounts.sources(digest):
            source = await self._parts.authorizer.authorize(
                self._parts.principal, Pull, RepositoryName.parse(other)
            )
            if await self._parts.mounts.mount(grant, source, digest):
                return
        cipher = self._repository.cipher
        keys = index.copies(cipher.name_of(digest), cipher.stored_bytes(size_bytes))
        if not keys:
            raise BackupDamagedError(str(digest), "no blob of this digest and size is there")
        for key in keys:
            try:
                content = read_from_repository(self._repository, key, digest, self._pace)
                await self._parts.uploads.push_whole(grant, digest, content)
                break
            except BackupDamagedError:
                if key == keys[-1]:
                    raise
        self._count_blob(size_bytes)

    def _count_blob(self, size_bytes: int) -> None:
        self._report.blobs += 1
        self._report.blob_bytes += size_bytes

    async def _push_manifests(self, group: Sequence[SavedManifest], name: RepositoryName) -> None:
        bodies = await read_bodies(self._repository, self._manifest, {saved.digest for saved in group})
        parsed: dict[str, ParsedManifest] = {}
        for saved in group:
            try:
                parsed[saved.digest] = parse_manifest(bodies[saved.digest], saved.media_type)
            except (KeyError, InvalidManifestError, UnsupportedManifestError) as error:
                self._fail(f"{name}@{saved.digest}", f"its bytes in the snapshot can't be read: {error}")
        for saved in children_first(group, parsed):
            await self._push_manifest(saved, bodies[saved.digest], parsed[saved.digest], name)

    async def _push_manifest(
        self, saved: SavedManifest, body: bytes, parsed: ParsedManifest, name: RepositoryName
    ) -> None:
        digest = Digest.parse(saved.digest)
        known = await self._parts.metadata.manifests.describe_by_digest(name.text, digest)
        tags = [tag for tag in saved.tags if await self._wanted(name, tag, digest)]
        if not isinstance(known, Missing) and not tags:
            return
        if self._options.dry_run:
            self._report.manifests += isinstance(known, Missing)
            self._report.tags += len(tags)
            return
        grant = await self._parts.authorizer.authorize(self._parts.principal, Push, name)
        condition = UNCONDITIONAL if self._options.overwrite else TagCondition(exists=False)
        try:
            if isinstance(known, Missing):
                await self._parts.manifest_pushes.push(grant, ManifestPush(body, parsed, digest, ()))
                self._report.manifests += 1
        except (ManifestReferencesMissingError, DigestMismatchError) as error:
            self._fail(f"{name}@{digest}", str(error))
            return
        for tag in tags:
            push = ManifestPush(body, parsed, digest, (TagName.parse(tag),), condition)
            try:
                await self._parts.manifest_pushes.push(grant, push)
                self._report.tags += 1
            except TagConditionError:  # somebody set it a moment ago
                self._report.kept_tags.append(f"{name}:{tag}")

    async def _wanted(self, name: RepositoryName, tag: str, digest: Digest) -> bool:
        """Tell whether the tag is to be set here; one that points elsewhere is kept, unless asked otherwise."""
        present = await self._parts.metadata.manifests.describe_by_tag(name.text, tag)
        if isinstance(present, Missing):
            return True
        if present.digest == digest:
            return False
        if not self._options.overwrite:
            self._report.kept_tags.append(f"{name}:{tag}")
        return self._options.overwrite

    def _fail(self, what: str, reason: str) -> None:
        self._report.failed[what] = reason
        self._observer.say(f"not restored: {what}: {reason}")


async def _each(items: Iterable[tuple[str, int]]) -> AsyncGenerator[tuple[str, int]]:
    for item in items:
        yield item
