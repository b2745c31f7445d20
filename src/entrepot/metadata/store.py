"""The protocols of the metadata store: how its aggregates are read, and how units change them.

Reading and writing are apart. A reader answers with one SQL statement per call and never sees a half-done unit. Writing
happens in **units**: functions that receive a transaction, await nothing but it, do no other I/O, and may be run
more than once (a busy SQLite file, a serialization failure, a lost COMMIT reply), so each must converge when repeated.
Either all of a unit is durable when :meth:`Metadata.write` returns, or none of it will ever be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from entrepot.metadata.identity_store import IdentityReaders, IdentityRows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from entrepot.metadata.backup_store import BackupReader, BackupRows
    from entrepot.metadata.diagnosis import DiagnosisReader
    from entrepot.metadata.inventory import InventoryReader
    from entrepot.metadata.manifest_store import ManifestWriterRows, ReferenceRows, TagWriterRows
    from entrepot.metadata.orphan_store import OrphanReader, OrphanRows
    from entrepot.metadata.outbox_store import JournalRows, OutboxReader, OutboxWriterRows
    from entrepot.metadata.records import (
        AdoptedBlob,
        Missing,
        MountableBlob,
        NamePage,
        NewBlob,
        ReferrerPage,
        ReferrerQuery,
        RepositoryRow,
        StoredBlob,
        StoredManifest,
    )
    from entrepot.metadata.replay_store import ReplayReader, ReplayRows
    from entrepot.metadata.upload_store import UploadSessionReader, UploadSessionWriterRows
    from entrepot.metadata.verification import QuarantineRows, VerificationReader
    from entrepot.oci.digest import Digest

__all__ = [
    "BlobReader",
    "BlobWriterRows",
    "CatalogReader",
    "InstanceReader",
    "ManifestReader",
    "Metadata",
    "MountReader",
    "MountRows",
    "ReferrerReader",
    "RepositoryWriterRows",
    "TagReader",
    "Transaction",
]

T = TypeVar("T")


class ManifestReader(Protocol):
    """Manifests as pulls need them. Each call is one statement.

    A caller that holds the bytes of `known` is not given them again: should the manifest turn out to be this one, its
    body is empty.
    """

    async def find_by_tag(
        self, repository: str, tag: str, known: Digest | None = None
    ) -> StoredManifest | Missing:
        """Return the manifest a tag points at, body included unless it is `known`."""
        ...

    async def find_by_digest(
        self, repository: str, digest: Digest, known: Digest | None = None
    ) -> StoredManifest | Missing:
        """Return a manifest of a repository, body included unless it is `known`."""
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


class MountReader(Protocol):
    """Where blobs can be mounted from."""

    async def repositories_with(self, digest: Digest, limit: int) -> Sequence[str]:
        """Return names of up to `limit` repositories, no matter which, that link to the live blob."""
        ...


class TagReader(Protocol):
    """Tags of a repository. Each call is one statement."""

    async def list_names(self, repository: str, after: str, limit: int) -> NamePage | Missing:
        """Return up to `limit` (≥ 0) tag names greater than `after` in byte order."""
        ...


class ReferrerReader(Protocol):
    """What is attached to manifests. Each call is one statement."""

    async def list_page(self, query: ReferrerQuery) -> ReferrerPage:
        """Return live manifests that are attached to the subject, each once.

        Those are the ones that name it as their subject, and those that an index under the list tag lists and that name
        no other one. A repository that does not exist has none.
        """
        ...


class CatalogReader(Protocol):
    """The repositories of the registry. Each call is one statement."""

    async def list_names(self, after: str, limit: int) -> NamePage:
        """Return up to `limit` (≥ 0) names of repositories greater than `after` in byte order."""
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

        Condemned ones that are linked are revived: a manifest that is about to refer to them keeps them. The links
        found stay as they are until the unit ends.
        """
        ...

    async def hold_link(self, repository_id: int, digest: Digest) -> int | None:
        """Keep everybody from the repository's link to a live blob until the unit ends, and return the blob's number.

        `None` without such a link. What a later statement of the unit finds to refer to the blob is all there is.
        """
        ...

    async def unlink(self, repository_id: int, blob_id: int) -> None:
        """Remove a link that the unit holds; the blob itself stays, for other repositories and for the collector."""


class MountRows(Protocol):
    """Sources of mounts within a unit."""

    async def hold_source(self, repository: str, digest: Digest) -> MountableBlob | None:
        """Return the live blob that the repository links to; it stays live and linked until the unit ends."""
        ...


class Transaction(IdentityRows, Protocol):
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
    def references(self) -> ReferenceRows:
        """What manifests refer to."""
        ...

    @property
    def tags(self) -> TagWriterRows:
        """Tags and their history."""
        ...

    @property
    def orphans(self) -> OrphanRows:
        """What a sweep remembers."""
        ...

    @property
    def mounts(self) -> MountRows:
        """Sources of mounts."""
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

    @property
    def quarantine(self) -> QuarantineRows:
        """Damaged content, set aside."""
        ...

    @property
    def replay(self) -> ReplayRows:
        """What only a rebuild does."""
        ...

    @property
    def backups(self) -> BackupRows:
        """Backups, and blobs that came back from one."""
        ...


class Metadata(IdentityReaders, Protocol):
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
    def orphans(self) -> OrphanReader:
        """What a sweep asks."""
        ...

    @property
    def mounts(self) -> MountReader:
        """Where blobs can be mounted from."""
        ...

    @property
    def referrers(self) -> ReferrerReader:
        """What is attached to manifests."""
        ...

    @property
    def catalog(self) -> CatalogReader:
        """The repositories of the registry."""
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

    @property
    def inventory(self) -> InventoryReader:
        """Walks through all rows."""
        ...

    @property
    def diagnosis(self) -> DiagnosisReader:
        """Facts for an operator's examination."""
        ...

    @property
    def verification(self) -> VerificationReader:
        """What a verification asks about single rows."""
        ...

    @property
    def replay(self) -> ReplayReader:
        """What a rebuild left behind."""
        ...

    @property
    def backups(self) -> BackupReader:
        """What is known of backups."""
        ...

    async def write(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `unit` in a write transaction and return its result once that is durable.

        An exception from the unit rolls everything back and is raised here unchanged. A task that is cancelled while
        its unit waits for its turn takes the unit back; once begun, the unit is seen through and the cancellation is
        raised when its outcome is decided, so whoever cleans up afterwards must expect that it was committed.

        A guard of the present task (:mod:`entrepot.metadata.unit_guard`) is looked at within the unit.

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

    async def lost_file(self) -> str:
        """Return the database's file or log when another one, or none, lies in its place since this store was opened.

        What is written then goes into one that nobody will open again. Empty as long as it is the same, and on an
        engine whose files are a server's. Nothing is opened for it: once a descriptor of a SQLite file is closed, all
        locks of the process on it are gone (POSIX).
        """
        ...

    async def aclose(self) -> None:
        """Finish writes that were accepted and release connections and threads. May be called again."""
