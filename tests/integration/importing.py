"""Sources of imports laid down by hand, so that they can be as damaged as a test needs, and imports in process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from entrepot.oci.digest import Digest
from entrepot.transfer.importing import Importer, ImportOptions
from entrepot.transfer.rehearsal import RehearsedTarget
from entrepot.transfer.selection import Selection
from entrepot.transfer.target import RegistryServices, RegistryTarget
from tests.asgi.small_images import CONFIG, LAYER, image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from entrepot.services import Services
    from entrepot.transfer.report import ImportReport
    from entrepot.transfer.source import ImageSource
    from entrepot.transfer.target import LinkPolicy

__all__ = ["HasServices", "TreeWriter", "import_from", "services_of"]


class HasServices(Protocol):
    """A registry in this process, however it was opened."""

    @property
    def services(self) -> Services:
        """Its services."""
        ...


def services_of(services: Services) -> RegistryServices:
    """Return what an import may call."""
    return RegistryServices(
        manifests=services.manifests,
        manifest_pushes=services.manifest_pushes,
        blobs=services.blobs,
        mounts=services.mounts,
        uploads=services.uploads,
        file_pushes=services.file_pushes,
    )


async def import_from(
    source: ImageSource,
    registry: HasServices,
    selection: Selection | None = None,
    options: ImportOptions | None = None,
    links: LinkPolicy = "auto",
    *,
    rehearse: bool = False,
) -> ImportReport:
    """Import, compare, close the source, and return the report."""
    real = RegistryTarget(services_of(registry.services), links, os.geteuid())
    target = RehearsedTarget(real) if rehearse else real
    importer = Importer(
        source, target, selection or Selection(), options or ImportOptions(), lambda _count, _note: None
    )
    try:
        report = await importer.run()
        if not rehearse:
            await importer.compare()
    finally:
        await source.aclose()
    return report


class TreeWriter:
    """A Distribution storage directory (registry/storage/paths.go), written as that program writes it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top = root / "docker" / "registry" / "v2"
        for name in ("repositories", "blobs"):
            (self._top / name).mkdir(parents=True)

    def data(self, content: bytes) -> Path:
        """Return where content lies."""
        digest = Digest.of_bytes(content)
        return self._top / "blobs" / "sha256" / digest.hex[:2] / digest.hex / "data"

    def repository(self, name: str) -> Path:
        """Return the directory of a repository."""
        return self._top / "repositories" / name

    def add_blob(self, repository: str, content: bytes) -> Digest:
        """Store a blob and link it to a repository."""
        digest = self._store(content)
        self._link(self.repository(repository) / "_layers" / "sha256" / digest.hex / "link", digest)
        return digest

    def add_manifest(self, repository: str, body: bytes, *tags: str) -> Digest:
        """Store a manifest as a revision, and point tags at it."""
        digest = self._store(body)
        manifests = self.repository(repository) / "_manifests"
        self._link(manifests / "revisions" / "sha256" / digest.hex / "link", digest)
        for tag in tags:
            self._link(manifests / "tags" / tag / "current" / "link", digest)
            self._link(manifests / "tags" / tag / "index" / "sha256" / digest.hex / "link", digest)
        return digest

    def add_image(self, repository: str, *tags: str, blobs: Iterable[bytes] = (CONFIG, LAYER)) -> Digest:
        """Store the small image."""
        for blob in blobs:
            self.add_blob(repository, blob)
        return self.add_manifest(repository, image(), *tags)

    def _store(self, content: bytes) -> Digest:
        path = self.data(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return Digest.of_bytes(content)

    def _link(self, path: Path, digest: Digest) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(digest))
