"""What an import needs to know of a place that images come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from entrepot.oci.descriptor import Descriptor
    from entrepot.oci.digest import Digest

__all__ = ["BlobOrigin", "ByteStream", "ImageSource", "LocalFile", "SourceManifest"]


@dataclass(frozen=True, slots=True)
class SourceManifest:
    """The exact bytes of a manifest, which hash to the digest asked for, and what they are."""

    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A blob that is a whole file of this machine.

    Attributes:
        is_immutable: whether the program that wrote the file is known never to change it in place, so that sharing it
            by a hard link is safe.
    """

    path: Path
    is_immutable: bool


@dataclass(frozen=True, slots=True)
class ByteStream:
    """A blob that has to be read. The generator raises a SourceError when it can't give all bytes."""

    chunks: AsyncGenerator[bytes]


BlobOrigin: TypeAlias = LocalFile | ByteStream


class ImageSource(Protocol):
    """A place that images come from. All methods may be called at the same time from many tasks of one event loop.

    Names are those of the source; what is no name for this registry is found by the caller. Beside the errors named,
    every method raises SourceUnavailableError when the source does not answer any more.
    """

    @property
    def description(self) -> str:
        """What a person calls this source: kind and place."""
        ...

    @property
    def lists_untagged(self) -> bool:
        """Whether :meth:`untagged` yields every manifest without a tag, referrers included."""
        ...

    def repositories(self) -> AsyncIterator[str]:
        """Yield the names of all repositories.

        Raises:
            SourceUnusableError: it does not tell; then they have to be named.
        """
        ...

    def tags(self, repository: str) -> AsyncIterator[str]:
        """Yield the tags of a repository; one that does not exist has none.

        Raises:
            SourceDeniedError: they may not be read.
        """
        ...

    async def resolve(self, repository: str, tag: str) -> Digest:
        """Return what a tag points at.

        Raises:
            SourceError: nothing that could be read.
        """
        ...

    def untagged(self, repository: str) -> AsyncIterator[Digest]:
        """Yield manifests that can be pulled by digest, as far as they can be listed; tagged ones may be among them."""
        ...

    def referrers(self, repository: str, subject: Digest) -> AsyncIterator[Digest]:
        """Yield manifests that are attached to this one (signatures, attestations), as far as the source tells."""
        ...

    async def manifest(self, repository: str, digest: Digest) -> SourceManifest:
        """Return a manifest.

        Raises:
            SourceError: it is missing, or damaged.
        """
        ...

    async def confirm_blob(self, repository: str, blob: Descriptor) -> None:
        """Make sure that the repository has the blob, of the size that is expected, without reading it.

        Raises:
            SourceError: it does not.
        """

    async def open_blob(self, repository: str, blob: Descriptor) -> BlobOrigin:
        """Return where the bytes of a blob come from; whoever reads them verifies them.

        Raises:
            SourceError: it is missing, or has another size.
        """
        ...

    async def aclose(self) -> None:
        """Release files and connections. May be called again."""
