"""The rows of the registry as values. Times are milliseconds since 1970 by the database's clock (F27)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import msgspec

from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from entrepot.oci.digest import Algorithm

__all__ = [
    "AdoptedBlob",
    "BlobState",
    "Candidate",
    "ExpiredUpload",
    "ImageReference",
    "JournalFact",
    "Missing",
    "MountableBlob",
    "NamePage",
    "NewBlob",
    "NewManifest",
    "NewUploadSession",
    "OutboxFact",
    "Owners",
    "ReferenceKind",
    "Referrer",
    "ReferrerPage",
    "ReferrerQuery",
    "RepositoryRow",
    "StoredBlob",
    "StoredManifest",
    "SweepClaim",
    "UploadLease",
    "UploadProgress",
    "UploadSession",
    "WrittenJournal",
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


class StoredBlob(msgspec.Struct, frozen=True, gc=False):
    """A live blob as seen through a repository that links to it, whose project has the number `project_id`."""

    digest: Digest
    size_bytes: int
    storage_key: str
    project_id: int | None = None


@dataclass(frozen=True, slots=True)
class MountableBlob:
    """A live blob that a repository links to, locked against condemnation until the unit ends."""

    id: int
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


class StoredManifest(msgspec.Struct, frozen=True, gc=False):
    """A manifest of a repository. `body` is empty when only its properties were asked for, or its bytes were known.

    Attributes:
        project_id: the number of the repository's project, where more than the properties was asked for.
    """

    digest: Digest
    media_type: str
    size_bytes: int
    body: bytes
    project_id: int | None = None


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One thing a manifest points at; it keeps that thing alive.

    Attributes:
        required: whether the repository must have it. What need not be there is kept alive only when it is there.
    """

    kind: ReferenceKind
    digest: Digest
    size_bytes: int
    media_type: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class NewManifest:
    """A manifest whose bytes are durable under `storage_key`.

    Attributes:
        fresh_copy: whether the bytes were stored for this very manifest, since no sound ones were known.
    """

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
    fresh_copy: bool = False


@dataclass(frozen=True, slots=True)
class NamePage:
    """A run of names, of tags or of repositories, in byte order; of tags with the number of the project."""

    names: tuple[str, ...]
    more: bool
    project_id: int | None = None


class ReferrerQuery(msgspec.Struct, frozen=True, gc=False):
    """Which referrers are asked for.

    Attributes:
        list_tag: the tag under which clients may keep a list of them, as an index.
        artifact_type: the only type wanted, `None` for all.
        after: a text; only digests greater than it are listed.
        limit: how many at most (≥ 1).
        max_bytes: what their descriptors may take together, unless a single one takes more.
    """

    repository: str
    subject: Digest
    list_tag: str
    artifact_type: str | None
    after: str
    limit: int
    max_bytes: int


class Referrer(msgspec.Struct, frozen=True, gc=False):
    """A manifest that is attached to another one. Annotations are a JSON object as it came, `{}` without any."""

    digest: Digest
    media_type: str
    size_bytes: int
    artifact_type: str | None
    annotations_json: bytes


class ReferrerPage(msgspec.Struct, frozen=True):
    """A run of referrers in the order of their digests, and the number of the repository's project, if there is one."""

    referrers: tuple[Referrer, ...]
    more: bool
    project_id: int | None = None


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
    """What a request added to a session; recorded with compare-and-swap on `expected_offset` and the fence.

    The session then lives for `time_to_live_seconds` more: its age counts from the last bytes, not from its beginning.
    """

    public_id: str
    fence: int
    expected_offset: int
    offset: int
    algorithm: Algorithm
    digest_so_far: str | None
    state: bytes
    time_to_live_seconds: int


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
    """An outbox row that belongs into a segment of the journal, whether it lies there already or not."""

    sequence: int
    at_milliseconds: int
    kind: str
    repository: str
    actor: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class WrittenJournal:
    """What surely lies in the blob store, because the database says that it was written there.

    Attributes:
        first_fact: the number of the first of all facts, 0 without one and while it waits for its segment.
        newest_segment: the key of the segment that was written last, empty where no program has noted one yet.
        longest_segment: likewise that of the segment that covers the most numbers, of those that former programs wrote.
    """

    first_fact: int
    newest_segment: str
    longest_segment: str = ""


@dataclass(frozen=True, slots=True)
class ExpiredUpload:
    """A session that was removed because its time was over, as its staged bytes are found by."""

    public_id: str
    fence: int
    offset: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Owners:
    """Which of the things asked for some row mentions: ids of sessions, storage keys of blobs and manifests."""

    uploads: frozenset[str]
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something in the blob store that no row mentioned when a sweep first saw it.

    Attributes:
        due: whether that was longer ago than the grace period, by the database's clock.
        ahead_milliseconds: how far that lies ahead of the database's clock, 0 if it does not, as it should be (F27).
    """

    storage_key: str
    size_bytes: int
    due: bool
    ahead_milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class SweepClaim:
    """The right to go on with a sweep, until the lease ends; `progress` is the sweep's own and empty at its start."""

    name: str
    fence: int
    progress: str


@dataclass(frozen=True, slots=True)
class TimesAhead:
    """How far times lay ahead of the database's clock that were put right, in milliseconds; 0 where none was (F27).

    Attributes:
        lease: the end of a lease.
        end: when a sweep falls due, or the life of an upload session ends.
    """

    lease: int = 0
    end: int = 0
