"""Reads an OCI image layout (image-spec, image-layout.md), a directory or a tar archive of one.

`index.json` lists what the layout holds; names stand beside its entries as annotations. Which name tools write differs:
skopeo and oras a tag, podman and buildah `name:tag`, containerd and docker the full reference in a key of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.oci.digest import Digest, InvalidDigestError
from entrepot.oci.manifest import MAX_MANIFEST_BYTES
from entrepot.transfer.errors import (
    ContentMissingError,
    SourceDamagedError,
    SourceError,
    SourceUnusableError,
)
from entrepot.transfer.image_names import parse_image_name
from entrepot.transfer.manifest_kinds import describe_manifest
from entrepot.transfer.subjects import SubjectIndex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.oci.descriptor import Descriptor
    from entrepot.transfer.archive_files import ArchiveFiles
    from entrepot.transfer.source import BlobOrigin, SourceManifest

__all__ = ["CONTAINERD_NAME", "INDEX", "LAYOUT", "REF_NAME", "REPOSITORY", "OciLayout", "blob_name"]

INDEX: Final = "index.json"
LAYOUT: Final = "oci-layout"
REF_NAME: Final = "org.opencontainers.image.ref.name"
CONTAINERD_NAME: Final = "io.containerd.image.name"
REPOSITORY: Final = "io.entrepot.repository"
"""Beside the index itself: the repository that was exported, for entries that have no name."""

_LARGEST_INDEX_BYTES: Final = 64 * 1024 * 1024


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    digest: str
    media_type: str | None = None
    annotations: dict[str, str] | None = None


class _Index(msgspec.Struct, frozen=True):
    manifests: list[_Entry] | None = None
    annotations: dict[str, str] | None = None


@dataclass(slots=True)
class _Repository:
    tags: dict[str, Digest] = field(default_factory=dict[str, Digest])
    untagged: list[Digest] = field(default_factory=list[Digest])


def blob_name(digest: Digest) -> str:
    """Return where a layout keeps content."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


class OciLayout:
    """An :class:`ImageSource` on a layout."""

    def __init__(
        self, files: ArchiveFiles, place: str, repositories: dict[str, _Repository], types: dict[Digest, str]
    ) -> None:
        self._files = files
        self._place = place
        self._repositories = repositories
        self._types = types
        self._subjects = SubjectIndex(self)

    @classmethod
    async def open(cls, files: ArchiveFiles, place: str, into: str | None) -> OciLayout:
        """Read the index of a layout; images that have only a tag, or no name, go into the repository `into`.

        Raises:
            SourceUnusableError: it is no layout, or there is an image that no repository is known for.
        """
        try:
            index = msgspec.json.decode(await files.read(INDEX, _LARGEST_INDEX_BYTES), type=_Index)
        except SourceError as error:
            raise SourceUnusableError(f"{place} is no OCI layout: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SourceUnusableError(
                f"{place} is no OCI layout: its {INDEX} is unreadable: {error}"
            ) from None
        default = (index.annotations or {}).get(REPOSITORY)
        repositories: dict[str, _Repository] = {}
        types: dict[Digest, str] = {}
        for entry in index.manifests or ():
            digest = _digest_of(entry, place)
            if entry.media_type:
                types[digest] = entry.media_type
            repository, tag = _place_of(entry, place, into, default)
            found = repositories.setdefault(repository, _Repository())
            if tag is None:
                found.untagged.append(digest)
            else:
                found.tags[tag] = digest
        return cls(files, place, repositories, types)

    @property
    def description(self) -> str:
        """Kind and place."""
        return f"the OCI layout {self._place}"

    @property
    def lists_untagged(self) -> bool:
        """All manifests are listed."""
        return True

    async def repositories(self) -> AsyncIterator[str]:
        """Yield the repositories that the entries name."""
        for name in sorted(self._repositories):
            yield name

    async def tags(self, repository: str) -> AsyncIterator[str]:
        """Yield the tags that the entries name."""
        found = self._repositories.get(repository)
        for tag in sorted(found.tags) if found is not None else ():
            yield tag

    async def resolve(self, repository: str, tag: str) -> Digest:
        """Return the digest of the last entry with this name."""
        found = self._repositories.get(repository)
        digest = found.tags.get(tag) if found is not None else None
        if digest is None:
            raise ContentMissingError(f"the layout has no image {repository}:{tag}")
        return digest

    async def untagged(self, repository: str) -> AsyncIterator[Digest]:
        """Yield the entries without a tag, such as the referrers that oras writes."""
        found = self._repositories.get(repository)
        for digest in found.untagged if found is not None else ():
            yield digest

    async def referrers(self, repository: str, subject: Digest) -> AsyncIterator[Digest]:
        """Yield entries that name the subject."""
        for digest in await self._subjects.of(repository, subject):
            yield digest

    async def manifest(self, repository: str, digest: Digest) -> SourceManifest:
        """Read a manifest; all repositories of a layout share its content."""
        body = await self._files.read(blob_name(digest), MAX_MANIFEST_BYTES)
        return describe_manifest(body, digest, self._types.get(digest))

    async def confirm_blob(self, repository: str, blob: Descriptor) -> None:
        """Look at the size."""
        size = await self._files.size(blob_name(blob.digest))
        if size != blob.size:
            raise SourceDamagedError(f"the blob {blob.digest} has {size} bytes instead of {blob.size}")

    async def open_blob(self, repository: str, blob: Descriptor) -> BlobOrigin:
        """Return the file, or the range of the archive."""
        await self.confirm_blob(repository, blob)
        return self._files.origin(blob_name(blob.digest))

    async def aclose(self) -> None:
        """Nothing is open."""


def _digest_of(entry: _Entry, place: str) -> Digest:
    try:
        return Digest.parse(entry.digest)
    except InvalidDigestError as error:
        raise SourceUnusableError(f"{place}: {INDEX} has an entry without a usable digest: {error}") from None


def _place_of(entry: _Entry, place: str, into: str | None, default: str | None) -> tuple[str, str | None]:
    """Return repository and tag of an entry."""
    annotations = entry.annotations or {}
    text = annotations.get(CONTAINERD_NAME) or annotations.get(REF_NAME)
    name = parse_image_name(text) if text else None
    repository = into or (name.repository if name is not None else None) or default
    if repository is None:
        what = f"only the tag {text}" if text else "no name"
        raise SourceUnusableError(
            f"{place}: the image {entry.digest} has {what}: say where it goes with --into REPOSITORY"
        )
    return repository, name.tag if name is not None else None
