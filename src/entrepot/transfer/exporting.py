"""The export: images of this registry, with everything they refer to, into OCI layouts, one per repository."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from entrepot.auth.grants import Pull
from entrepot.auth.host import HostAuthorizer, host_operator
from entrepot.blobstore.driver import LocalPaths
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import parse_manifest
from entrepot.oci.names import RepositoryName, TagName
from entrepot.registry.errors import (
    BlobUnknownError,
    ContentDamagedError,
    ManifestUnknownError,
    RepositoryUnknownError,
    SourceInterruptedError,
)
from entrepot.transfer.errors import SourceDamagedError
from entrepot.transfer.keyed_locks import KeyedLocks
from entrepot.transfer.layout_index import LayoutEntry
from entrepot.transfer.report import Amount, Problem
from entrepot.transfer.source import ByteStream, LocalFile
from entrepot.transfer.together import run_together

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from entrepot.auth.grants import Grant
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.records import StoredManifest
    from entrepot.oci.descriptor import Descriptor
    from entrepot.registry.pulls.blobs import Blobs
    from entrepot.registry.pulls.manifests import Manifests
    from entrepot.registry.pulls.referrers import Referrers
    from entrepot.transfer.layout_index import LayoutWriter
    from entrepot.transfer.source import BlobOrigin

__all__ = ["ExportReport", "ExportServices", "Exporter"]

_PAGE: Final = 1000
_OF_ONE_IMAGE: Final = (
    RepositoryUnknownError,
    ManifestUnknownError,
    BlobUnknownError,
    ContentDamagedError,
    ObjectNotFoundError,
    SourceDamagedError,
    SourceInterruptedError,
)
"""What is wrong with one image and no reason to end an export."""


@dataclass(frozen=True, slots=True)
class ExportServices:
    """What an export reads from."""

    manifests: Manifests
    blobs: Blobs
    referrers: Referrers
    store: BlobStore


@dataclass(slots=True)
class ExportReport:
    """Figures of one run. `present` counts content that the layouts had before."""

    repositories: int = 0
    images: int = 0
    written: Amount = field(default_factory=Amount)
    present: Amount = field(default_factory=Amount)
    problems: list[Problem] = field(default_factory=list[Problem])


class Exporter:
    """Writes images into layouts, several pieces of content at a time."""

    def __init__(
        self, services: ExportServices, parallel: int, advance: Callable[[int, str], None], *, referrers: bool
    ) -> None:
        self._services = services
        self._transfers = asyncio.Semaphore(parallel)
        self._locks = KeyedLocks[Digest]()
        self._advance = advance
        self._referrers = referrers
        self._authorizer = HostAuthorizer()
        self.report = ExportReport()

    async def export(
        self, repository: RepositoryName, references: Sequence[TagName | Digest], layout: LayoutWriter
    ) -> None:
        """Write images of one repository; those that are damaged are reported and left out of the index.

        Raises:
            ExportError: the layout can't be written.
            BlobStoreError, MetadataError: the stores failed.
        """
        grant = await self._authorizer.authorize(host_operator(), Pull, repository)
        entries: list[LayoutEntry] = []
        for reference in references:
            try:
                manifest = await self._services.manifests.pull(grant, reference)
                await self._add_image(grant, manifest, layout)
                tag = reference.text if isinstance(reference, TagName) else None
                entries.append(LayoutEntry(manifest.digest, manifest.media_type, manifest.size_bytes, tag))
                if self._referrers:
                    entries += [entry async for entry in self._add_referrers(grant, manifest.digest, layout)]
            except _OF_ONE_IMAGE as error:
                self.report.problems.append(Problem(repository.text, str(reference), str(error)))
            else:
                self.report.images += 1
        if entries:
            await layout.finish(repository.text, entries)
            self.report.repositories += 1

    async def tags_of(self, repository: RepositoryName) -> AsyncIterator[TagName]:
        """Yield the tags of a repository in byte order; one that does not exist has none."""
        grant = await self._authorizer.authorize(host_operator(), Pull, repository)
        after, more = "", True
        while more:
            try:
                page = await self._services.manifests.list_tags(grant, after, _PAGE)
            except RepositoryUnknownError:
                return
            for name in page.names:
                yield TagName(name)
                after = name
            more = page.more

    async def _add_image(self, grant: Grant[Pull], manifest: StoredManifest, layout: LayoutWriter) -> None:
        parsed = parse_manifest(manifest.body, manifest.media_type)
        for child in parsed.children:
            await self._add_image(grant, await self._services.manifests.pull(grant, child.digest), layout)
        blobs = [self._add_blob(grant, blob, layout) for blob in parsed.blob_references]
        await run_together(blobs, self._transfers, _OF_ONE_IMAGE)
        await self._add(
            manifest.digest, manifest.size_bytes, ByteStream(_one_piece(manifest.body)), grant, layout
        )

    async def _add_referrers(
        self, grant: Grant[Pull], subject: Digest, layout: LayoutWriter
    ) -> AsyncIterator[LayoutEntry]:
        after, more = "", True
        while more:
            page = await self._services.referrers.list_page(grant, subject, None, after, _PAGE)
            for referrer in page.referrers:
                manifest = await self._services.manifests.pull(grant, referrer.digest)
                await self._add_image(grant, manifest, layout)
                yield LayoutEntry(manifest.digest, manifest.media_type, manifest.size_bytes)
                async for entry in self._add_referrers(grant, referrer.digest, layout):
                    yield entry
                after = str(referrer.digest)
            more = page.more

    async def _add_blob(self, grant: Grant[Pull], blob: Descriptor, layout: LayoutWriter) -> None:
        stored = await self._services.blobs.find(grant, blob.digest)
        # What is missing here is no fault of the layout.
        await self._services.store.stat(stored.storage_key)
        await self._add(blob.digest, stored.size_bytes, self._origin(stored.storage_key), grant, layout)

    async def _add(
        self, digest: Digest, size: int, origin: BlobOrigin, grant: Grant[Pull], layout: LayoutWriter
    ) -> None:
        async with self._locks.held(digest):
            if await layout.has(digest, size):
                self.report.present.add(size)
                return
            await layout.add(digest, size, origin)
            self.report.written.add(size)
            self._advance(size, grant.repository.text)

    def _origin(self, key: str) -> BlobOrigin:
        store = self._services.store
        if isinstance(store, LocalPaths):
            return LocalFile(store.local_path(key), is_immutable=True)
        return ByteStream(_stored(store, key))


async def _stored(store: BlobStore, key: str) -> AsyncGenerator[bytes]:
    async for chunk in store.read(key):
        yield chunk


async def _one_piece(data: bytes) -> AsyncGenerator[bytes]:
    yield data
