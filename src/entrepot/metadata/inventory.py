"""The protocol of walks through everything that the rows mention: for examining, copying and handing over a registry.

Walks page by a key, so they hold no cursor and no transaction: what changes between two pages may or may not be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import BlobState
    from entrepot.oci.digest import Digest

__all__ = [
    "InventoryBlob",
    "InventoryBody",
    "InventoryManifest",
    "InventoryReader",
    "InventoryTag",
]


@dataclass(frozen=True, slots=True)
class InventoryBlob:
    """A blob's row, whatever its state.

    Attributes:
        quarantined: whether a verification set it aside; its state is `trash` then.
    """

    id: int
    digest: Digest
    size_bytes: int
    state: BlobState
    storage_key: str
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class InventoryBody:
    """The bytes of a manifest as the database holds them, and the key of their copy in the blob store."""

    digest: Digest
    size_bytes: int
    body: bytes
    storage_key: str


@dataclass(frozen=True, slots=True)
class InventoryManifest:
    """A live manifest of a repository that was not deleted."""

    id: int
    repository: str
    digest: Digest
    media_type: str
    size_bytes: int
    subject: Digest | None


@dataclass(frozen=True, slots=True)
class InventoryTag:
    """A tag and the live manifest it points at."""

    name: str
    digest: Digest
    media_type: str


class InventoryReader(Protocol):
    """Pages of rows, each one statement; an empty page is the end."""

    async def blobs(self, after_id: int, limit: int) -> Sequence[InventoryBlob]:
        """Return blobs of every state whose numbers are greater than `after_id`, by number."""
        ...

    async def bodies(self, after_digest: str, limit: int) -> Sequence[InventoryBody]:
        """Return manifest bodies whose digests are greater than `after_digest` (a text), by digest."""
        ...

    async def manifests(self, after_id: int, limit: int) -> Sequence[InventoryManifest]:
        """Return live manifests of all repositories whose numbers are greater than `after_id`, by number."""
        ...

    async def manifests_of(
        self, repository: str, after_digest: str, limit: int
    ) -> Sequence[InventoryManifest]:
        """Return live manifests of a repository whose digests are greater than `after_digest`, by digest."""
        ...

    async def tags_of(self, repository: str, after_name: str, limit: int) -> Sequence[InventoryTag]:
        """Return the repository's tags greater than `after_name`, in byte order, with what they point at."""
        ...

    async def links_of(self, repository: str, after_id: int, limit: int) -> Sequence[InventoryBlob]:
        """Return blobs of every state that the repository links to, from numbers greater than `after_id`."""
        ...
