"""The protocols of the metadata store: how its aggregates are read, and how units change them.

Reading and writing are apart. A reader answers with one SQL statement per call and never sees a half-done unit. Writing
happens in **units**: functions that receive a transaction, await nothing but it, do no other I/O, and may be run
more than once (a busy SQLite file, a serialization failure, a lost COMMIT reply), so each must converge when repeated.
Either all of a unit is durable when :meth:`Metadata.write` returns, or none of it will ever be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from entrepot.metadata.records import (
        AdoptedBlob,
        JournalFact,
        Missing,
        NewBlob,
        NewManifest,
        NewUploadSession,
        OutboxFact,
        RepositoryRow,
        StoredBlob,
        StoredManifest,
        TagPage,
        UploadLease,
        UploadProgress,
        UploadSession,
    )
    from entrepot.oci.digest import Digest

__all__ = [
    "BlobReader",
    "BlobWriterRows",
    "InstanceReader",
    "JournalRows",
    "ManifestReader",
    "ManifestWriterRows",
    "Metadata",
    "OutboxReader",
    "OutboxWriterRows",
    "RepositoryWriterRows",
    "TagReader",
    "TagWriterRows",
    "Transaction",
    "UploadSessionReader",
    "UploadSessionWriterRows",
]

T = TypeVar("T")


class ManifestReader(Protocol):
    """Manifests as pulls need them. Each call is one statement."""

    async def find_by_tag(self, repository: str, tag: str) -> StoredManifest | Missing:
        """Return the manifest a tag points at, body included."""
        ...

    async def find_by_digest(self, repository: str, digest: Digest) -> StoredManifest | Missing:
        """Return a manifest of a repository, body included."""
        ...

    async def describe_by_tag(self, repository: str, tag: str) -> StoredManifest | Missing:
        """Return what a tag points at, without the body."""
        ...

    async def describe_by_digest(self, repository: str, digest: Digest) -> StoredManifest | Missing:
        """Return a manifest's properties, without the body."""
        ...


class BlobReader(Protocol):
    """Blobs as pulls need them. Each call is one statement."""

    async def find(self, repository: str, digest: Digest) -> StoredBlob | Missing:
        """Return a live blob that the repository links to; one linked only elsewhere is missing (S3)."""
        ...


class TagReader(Protocol):
    """Tags of a repository. Each call is one statement."""

    async def list_names(self, repository: str, after: str, limit: int) -> TagPage | Missing:
        """Return up to `limit` (≥ 0) tag names greater than `after` in byte order."""
        ...


class UploadSessionReader(Protocol):
    """Upload sessions as status requests need them. Each call is one statement."""

    async def find(self, repository: str, public_id: str, creator: str) -> UploadSession | Missing:
        """Return a session of this repository and this creator; any other is missing (S5)."""
        ...

    async def lease_owners(self, prefix: str) -> Sequence[str]:
        """Return who holds leases now, run out or not, of those whose names begin with `prefix`."""
        ...


class InstanceReader(Protocol):
    """Facts about the database itself."""

    async def incarnation(self) -> str:
        """Return the random id that this database got when it was made; journal keys start with it."""
        ...

    async def ping(self) -> None:
        """Read one row.

        Raises:
            MetadataUnavailableError: when that fails or takes longer than the statement time-out.
        """


class OutboxReader(Protocol):
    """Facts that wait for their consumers."""

    async def unjournalled(self, older_than_milliseconds: int, limit: int) -> Sequence[JournalFact]:
        """Return journal facts not compacted yet, in sequence order, that were written at least so long ago."""
        ...

    async def unjournalled_count(self) -> int:
        """Return how many journal facts have not been compacted yet."""
        ...


class RepositoryWriterRows(Protocol):
    """Repositories within a unit."""

    async def ensure(self, name: str, project: str, creator: str) -> RepositoryRow:
        """Return the repository, creating it and its project when they do not exist."""
        ...

    async def find(self, name: str) -> RepositoryRow | None:
        """Return the repository when it exists."""
        ...


class BlobWriterRows(Protocol):
    """Blobs within a unit."""

    async def adopt(self, blob: NewBlob) -> AdoptedBlob:
        """Insert the blob, or find the row that another push inserted first.

        A live row wins. A condemned row is revived and wins. A row in the trash takes over the new storage key.
        """
        ...

    async def link(self, repository_id: int, blob_id: int, creator: str) -> bool:
        """Make the blob visible in the repository; return whether it was not before."""
        ...

    async def absent_from(self, repository_id: int, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Return those of `digests` that the repository does not link to as live blobs.

        Condemned ones that are linked are revived: a manifest that is about to refer to them keeps them.
        """
        ...


class ManifestWriterRows(Protocol):
    """Manifests within a unit."""

    async def put(self, manifest: NewManifest) -> bool:
        """Insert the manifest with its references; return whether it was new. A condemned one is revived."""
        ...

    async def absent_from(self, repository_id: int, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Return those of `digests` that are no manifests of the repository, reviving condemned ones."""
        ...

    async def body_key(self, digest: Digest) -> str | None:
        """Return the storage key of a copy of these manifest bytes, when some repository already has them."""
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


class UploadSessionWriterRows(Protocol):
    """Upload sessions within a unit."""

    async def create(self, session: NewUploadSession) -> None:
        """Insert a session at offset 0."""

    async def lease(
        self, repository: str, public_id: str, creator: str, owner: str, lease_seconds: int
    ) -> UploadLease | Missing | None:
        """Take the lease of a session; `None` when somebody else holds it, `Missing` when there is no such session."""
        ...

    async def renew(self, public_id: str, fence: int, lease_seconds: int) -> bool:
        """Prolong a lease; `False` when it was lost."""
        ...

    async def record(self, progress: UploadProgress) -> bool:
        """Record new offset, digest and state and release the lease; `False` when lease or offset were lost."""
        ...

    async def release(self, public_id: str, fence: int) -> None:
        """Give the lease back without a change; a lost one is fine."""

    async def remove(self, public_id: str, fence: int) -> bool:
        """Delete the session; `False` when the lease was lost."""
        ...

    async def release_owner(self, owner: str) -> int:
        """Give back every lease of a process that is known to be dead; return how many."""
        ...


class OutboxWriterRows(Protocol):
    """Facts recorded by the unit that causes them."""

    async def append(self, fact: OutboxFact) -> int:
        """Record a fact and return its sequence number."""
        ...


class JournalRows(Protocol):
    """Book-keeping of the background worker that compacts the journal."""

    async def mark_journalled(self, sequences: Sequence[int]) -> None:
        """Remember that these facts lie in a durable segment."""


class Transaction(Protocol):
    """What a unit may touch."""

    @property
    def repositories(self) -> RepositoryWriterRows:
        """Repositories and their projects."""
        ...

    @property
    def blobs(self) -> BlobWriterRows:
        """Blobs and their links."""
        ...

    @property
    def manifests(self) -> ManifestWriterRows:
        """Manifests and what they refer to."""
        ...

    @property
    def tags(self) -> TagWriterRows:
        """Tags and their history."""
        ...

    @property
    def upload_sessions(self) -> UploadSessionWriterRows:
        """Upload sessions and their leases."""
        ...

    @property
    def outbox(self) -> OutboxWriterRows:
        """Facts for later consumers."""
        ...

    @property
    def journal(self) -> JournalRows:
        """Book-keeping of journal compaction."""
        ...


class Metadata(Protocol):
    """A metadata store of either engine. All methods may be called at the same time from many tasks."""

    @property
    def manifests(self) -> ManifestReader:
        """Manifests and what they refer to."""
        ...

    @property
    def blobs(self) -> BlobReader:
        """Blobs and their links."""
        ...

    @property
    def tags(self) -> TagReader:
        """Tags and their history."""
        ...

    @property
    def upload_sessions(self) -> UploadSessionReader:
        """Upload sessions and their leases."""
        ...

    @property
    def outbox(self) -> OutboxReader:
        """Facts for later consumers."""
        ...

    @property
    def instance(self) -> InstanceReader:
        """The database itself."""
        ...

    async def write(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `unit` in a write transaction and return its result once that is durable.

        An exception from the unit rolls everything back and is raised here unchanged. A task that is cancelled while
        its unit waits for its turn takes the unit back; once begun, the unit is seen through and the cancellation is
        raised when its outcome is decided, so whoever cleans up afterwards must expect that it was committed.

        Raises:
            MetadataUnavailableError: the database could not take the unit, after bounded repetition.
            UnitRejectedError: the unit awaited something else than its transaction.
        """
        ...

    async def maintain(self) -> None:
        """Do the engine's regular upkeep (checkpoint the SQLite log); called by the background worker only."""

    async def write_ahead_log_bytes(self) -> int | None:
        """Return the size of SQLite's write-ahead log, `None` on an engine that has none of its own."""
        ...

    async def aclose(self) -> None:
        """Finish writes that were accepted and release connections and threads. May be called again."""
