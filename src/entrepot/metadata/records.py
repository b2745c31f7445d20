"""The rows of the registry as values. Times are milliseconds since 1970 by the database's clock (F27)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from entrepot.oci.digest import Algorithm, Digest

__all__ = [
    "AdoptedBlob",
    "BlobState",
    "ImageReference",
    "JournalFact",
    "Missing",
    "NewBlob",
    "NewManifest",
    "NewUploadSession",
    "OutboxFact",
    "ReferenceKind",
    "RepositoryRow",
    "StoredBlob",
    "StoredManifest",
    "TagPage",
    "UploadLease",
    "UploadProgress",
    "UploadSession",
]

BlobState = Literal["live", "condemned", "trash"]
ReferenceKind = Literal["config", "layer", "manifest"]


class Missing(StrEnum):
    """Why a look-up found nothing: clients are told apart an unknown repository from an unknown thing in it."""

    REPOSITORY = "repository"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository by its internal number."""

    id: int
    name: str
    created: bool
    """Whether this very unit created it."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A live blob as seen through a repository that links to it."""

    digest: Digest
    size_bytes: int
    storage_key: str


@dataclass(frozen=True, slots=True)
class NewBlob:
    """A blob whose bytes are durable under `storage_key` and which no row mentions yet."""

    digest: Digest
    size_bytes: int
    storage_key: str
    creator: str


@dataclass(frozen=True, slots=True)
class AdoptedBlob:
    """What became of a :class:`NewBlob`."""

    id: int
    storage_key: str
    """The key the row refers to now; when it is not the new blob's own, the caller deletes its own bytes."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest of a repository. `body` is empty when only its properties were asked for."""

    digest: Digest
    media_type: str
    size_bytes: int
    body: bytes


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One thing a manifest points at; it keeps that thing alive."""

    kind: ReferenceKind
    digest: Digest
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class NewManifest:
    """A manifest whose bytes are durable under `storage_key`."""

    repository_id: int
    digest: Digest
    media_type: str
    artifact_type: str | None
    body: bytes
    storage_key: str
    config_media_type: str | None
    subject: Digest | None
    annotations_json: bytes
    references: tuple[ImageReference, ...]
    creator: str


@dataclass(frozen=True, slots=True)
class TagPage:
    """A run of tag names in byte order."""

    names: tuple[str, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class NewUploadSession:
    """A session about to begin. `algorithm` is the one the digest so far is kept in."""

    public_id: str
    repository_id: int
    creator: str
    algorithm: Algorithm
    time_to_live_seconds: int


@dataclass(frozen=True, slots=True)
class UploadSession:
    """A session as a status request sees it."""

    public_id: str
    offset: int


@dataclass(frozen=True, slots=True)
class UploadLease:
    """The right to write to a session until it is renewed, released or taken over.

    Attributes:
        fence: grows with each lease; every later change must name it, so that a holder that was given up for dead
            changes nothing any more (F30).
        digest_so_far: hexadecimal digest in `algorithm` of the first `offset` bytes, `None` when nobody hashed them.
        state: the blob store's opaque state of the staged bytes.
    """

    public_id: str
    repository_id: int
    fence: int
    offset: int
    algorithm: Algorithm
    digest_so_far: str | None
    state: bytes


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """What a request added to a session; recorded with compare-and-swap on `expected_offset` and the fence."""

    public_id: str
    fence: int
    expected_offset: int
    offset: int
    algorithm: Algorithm
    digest_so_far: str | None
    state: bytes


@dataclass(frozen=True, slots=True)
class OutboxFact:
    """Something that happened, recorded by the unit that made it happen.

    Attributes:
        kind: a name such as `manifest.put`, `tag.set`, `blob.linked`.
        payload: a JSON object with all that a consumer needs (and that `rebuild` needs, when `journalled`).
        journalled: whether the fact belongs into the journal in the blob store.
    """

    kind: str
    repository: str
    actor: str
    payload: bytes
    journalled: bool


@dataclass(frozen=True, slots=True)
class JournalFact:
    """An outbox row that has not been compacted into a journal segment yet."""

    sequence: int
    at_milliseconds: int
    kind: str
    repository: str
    actor: str
    payload: bytes
