"""The protocols of what a unit does with manifests, what they refer to, and the tags that point at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import NewManifest
    from entrepot.oci.digest import Digest

__all__ = ["ManifestWriterRows", "ReferenceRows", "TagWriterRows"]


class ManifestWriterRows(Protocol):
    """Manifests within a unit."""

    async def put(self, manifest: NewManifest) -> bool:
        """Insert the manifest with its references, or revive it when it was condemned or set aside as damaged.

        Returns whether it can be pulled only since then. It can't be condemned by others until the unit ends. Damaged
        bytes under its digest are replaced by those of a manifest that comes with a fresh copy.
        """
        ...

    async def absent_from(self, repository_id: int, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Return those of `digests` that are no live manifests of the repository; the others stay so in this unit.

        A condemned one is absent: what somebody deleted comes back by being pushed, not by being mentioned (I5).
        """
        ...

    async def hold(self, repository_id: int, digest: Digest) -> int | None:
        """Keep everybody from a manifest until the unit ends, and return its number; `None` without one.

        One that was set aside as damaged is there, too: it can't be pulled, but somebody may want to be rid of it.

        What a later statement of the unit finds to refer to the manifest is all there is.
        """
        ...

    async def condemn(self, manifest_id: int) -> None:
        """Make a manifest that the unit holds invisible; a later push revives it."""

    async def body_key(self, digest: Digest, body: bytes) -> str | None:
        """Return the storage key of a copy of these manifest bytes, when some repository already has them.

        `body` hashes to `digest`. Other bytes under that digest are damaged ones, and count as none.
        """
        ...


class TagWriterRows(Protocol):
    """Tags within a unit."""

    async def put(self, repository_id: int, tag: str, digest: Digest, actor: str) -> Digest | None:
        """Point the tag at a manifest of the repository, append to its history, and return what it pointed at.

        Pointing a tag where it points already changes nothing and appends nothing.

        Raises:
            UnknownManifestError: the repository has no such live manifest.
        """
        ...

    async def remove(self, repository_id: int, tag: str, actor: str) -> Digest | None:
        """Delete the tag, append to its history, and return what it pointed at; `None` when there is no such tag."""
        ...

    async def remove_all_of(
        self, repository_id: int, manifest_id: int, digest: Digest, actor: str
    ) -> Sequence[str]:
        """Delete every tag of a manifest that the unit holds, append to their histories, and return their names."""
        ...


class ReferenceRows(Protocol):
    """What manifests refer to, within a unit."""

    async def manifests_with_blob(
        self, repository_id: int, blob_id: int, digest: Digest, limit: int
    ) -> Sequence[Digest]:
        """Return up to `limit` live manifests of the repository that refer to the blob."""
        ...

    async def indexes_with_manifest(
        self, repository_id: int, manifest_id: int, digest: Digest, limit: int
    ) -> Sequence[Digest]:
        """Return up to `limit` live indexes of the repository that list the manifest."""
        ...
