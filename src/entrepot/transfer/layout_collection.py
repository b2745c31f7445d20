"""Finds layouts and archives behind a path: one layout, an archive of one, or a directory with one per repository."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from entrepot.transfer.archive_files import DirectoryFiles, TarFiles, open_files
from entrepot.transfer.docker_archive import CONTENTS, DockerArchive
from entrepot.transfer.errors import SourceUnusableError
from entrepot.transfer.oci_layout import INDEX, LAYOUT, OciLayout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from entrepot.oci.descriptor import Descriptor
    from entrepot.oci.digest import Digest
    from entrepot.transfer.archive_files import ArchiveFiles
    from entrepot.transfer.source import BlobOrigin, ImageSource, SourceManifest

__all__ = ["LayoutCollection", "open_docker_archive", "open_layouts"]


async def open_layouts(path: Path, into: str | None) -> ImageSource:
    """Open an OCI layout, a tar archive of one, or a directory of such as `entrepot export --all` writes.

    Raises:
        SourceUnusableError: there is none.
    """
    if await asyncio.to_thread(_holds_layouts, path):
        return await _open_directory_of_layouts(path, into)
    files = await asyncio.to_thread(open_files, path)
    if files.has(CONTENTS) and not files.has(INDEX):
        return await DockerArchive.open(files, str(path), into)
    return await OciLayout.open(files, str(path), into)


async def open_docker_archive(path: Path, into: str | None) -> ImageSource:
    """Open an archive of `docker save`; newer ones are OCI layouts inside, with the digests that docker knows.

    Raises:
        SourceUnusableError: it is none.
    """
    files = await asyncio.to_thread(TarFiles, path)
    if files.has(LAYOUT) and files.has(INDEX):
        return await OciLayout.open(files, str(path), into)
    return await DockerArchive.open(files, str(path), into)


def _holds_layouts(path: Path) -> bool:
    return path.is_dir() and not (path / INDEX).is_file()


def _layouts_in(path: Path) -> Iterator[tuple[Path, ArchiveFiles]]:
    for entry in sorted(path.iterdir()):
        if (entry / INDEX).is_file():
            yield entry, DirectoryFiles(entry)
        elif entry.suffix == ".tar" and entry.is_file():
            yield entry, TarFiles(entry)


async def _open_directory_of_layouts(path: Path, into: str | None) -> ImageSource:
    layouts: dict[str, ImageSource] = {}
    for entry, files in await asyncio.to_thread(list, _layouts_in(path)):
        layout = await OciLayout.open(files, str(entry), into)
        async for repository in layout.repositories():
            if repository in layouts:
                raise SourceUnusableError(
                    f"{path}: two layouts hold images of {repository}; import them one by one"
                )
            layouts[repository] = layout
    if not layouts:
        raise SourceUnusableError(f"{path} is no OCI layout (it has no {INDEX}) and holds none")
    return LayoutCollection(layouts, path)


class LayoutCollection:
    """An :class:`ImageSource` made of several, each of which has repositories of its own."""

    def __init__(self, layouts: Mapping[str, ImageSource], path: Path) -> None:
        self._layouts = layouts
        self._path = path

    @property
    def description(self) -> str:
        """Kind and place."""
        return f"the OCI layouts in {self._path}"

    @property
    def lists_untagged(self) -> bool:
        """All manifests are listed."""
        return True

    async def repositories(self) -> AsyncIterator[str]:
        """Yield the repositories of all."""
        for name in sorted(self._layouts):
            yield name

    async def tags(self, repository: str) -> AsyncIterator[str]:
        """Ask the layout that has the repository."""
        if repository in self._layouts:
            async for tag in self._layouts[repository].tags(repository):
                yield tag

    async def resolve(self, repository: str, tag: str) -> Digest:
        """Ask the layout that has the repository."""
        return await self._layouts[repository].resolve(repository, tag)

    async def untagged(self, repository: str) -> AsyncIterator[Digest]:
        """Ask the layout that has the repository."""
        if repository in self._layouts:
            async for digest in self._layouts[repository].untagged(repository):
                yield digest

    async def referrers(self, repository: str, subject: Digest) -> AsyncIterator[Digest]:
        """Ask the layout that has the repository."""
        async for digest in self._layouts[repository].referrers(repository, subject):
            yield digest

    async def manifest(self, repository: str, digest: Digest) -> SourceManifest:
        """Ask the layout that has the repository."""
        return await self._layouts[repository].manifest(repository, digest)

    async def confirm_blob(self, repository: str, blob: Descriptor) -> None:
        """Ask the layout that has the repository."""
        await self._layouts[repository].confirm_blob(repository, blob)

    async def open_blob(self, repository: str, blob: Descriptor) -> BlobOrigin:
        """Ask the layout that has the repository."""
        return await self._layouts[repository].open_blob(repository, blob)

    async def aclose(self) -> None:
        """Close all."""
        for layout in self._layouts.values():
            await layout.aclose()
