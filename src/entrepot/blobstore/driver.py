"""The seam between the registry and the places where bytes lie.

A driver stores immutable objects under keys that are never used twice, and it stages uploads that grow over several
requests. All methods may be called at the same time from many tasks and, but for the memory driver, from several
processes. Nothing here blocks the event loop. A driver holds no state another process would need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from entrepot.kernel.chunks import ChunkSink
    from entrepot.oci.digest import Digest

__all__ = [
    "BlobStore",
    "BlobWriter",
    "Capacity",
    "FileStager",
    "LocalPaths",
    "LocalSizes",
    "MultipartUploads",
    "PreparedPlace",
    "Presigner",
    "Sharing",
    "StoredObject",
    "SuspectableDisk",
    "ThreadedWriter",
    "UploadReference",
]


Sharing: TypeAlias = Literal["link", "clone"]
"""How a file's bytes become those of an upload without being copied.

`link`: one more name for the same file, which whoever may write to the file can still change. `clone`: a file of its
own whose blocks are shared until one of both changes (btrfs, XFS).
"""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much a store holds and could hold, in bytes."""

    used_bytes: int
    total_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class UploadReference:
    """A staged upload as its session row describes it.

    Attributes:
        upload_id: the random public id of the session; part of every key the upload ever writes.
        fence: the number of the lease under which the caller works; a driver puts it into the keys of what it may have
            to write more than once, so that a holder of an older lease can't replace it.
        state: what the last :meth:`BlobWriter.checkpoint` returned, `b""` for a new upload. Opaque to everybody else.
        offset: bytes that the session row counts as received and durable.
    """

    upload_id: str
    fence: int
    state: bytes
    offset: int


class BlobWriter(Protocol):
    """The exclusive hold on one staged upload, for the length of one request.

    Order of calls: any number of `write` and `checkpoint`, then at most one `seal`, at most one `publish`, and always
    `close`. A writer belongs to one task. Bytes written after the last checkpoint vanish when the next writer is opened
    with the older offset.
    """

    @property
    def offset(self) -> int:
        """Bytes staged so far, counted from the start of the upload."""
        ...

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append `chunks` in order, without joining them.

        Raises:
            StorageFullError, StorageUnavailableError: nothing of `chunks` counts as written.
        """

    async def checkpoint(self) -> bytes:
        """Make every byte so far durable and return the state to record with the new offset.

        Raises:
            StorageSuspectError: the flush failed; the staged bytes are discarded and must not be used again.
        """
        ...

    async def seal(self) -> str:
        """End writing and return a key under which all staged bytes can be read with :meth:`BlobStore.read`.

        Nothing becomes visible to anybody else. Calling it again returns the same key.
        """
        ...

    async def publish(self, digest: Digest) -> str:
        """Make the bytes permanent as a blob that hashes to `digest`, and return its storage key.

        The caller has verified the digest. On return the bytes are durable and a listing of the store
        finds them by digest; no row refers to them yet, so a crash here leaves only an orphan. The key is the very one
        under which :meth:`BlobStore.list_objects` shows the blob. Bytes that are not durable yet are made so.

        Raises:
            UploadLostError: the staged bytes were removed or replaced behind the writer's back.
            StorageFullError, StorageUnavailableError, StorageSuspectError: there is no blob.
        """
        ...

    async def close(self) -> None:
        """Give up the hold. May be called again; after `publish` it only releases."""


@runtime_checkable
class ThreadedWriter(Protocol):
    """A writer that works on threads of this process: what else a step takes can be done there, too."""

    async def lend_thread(self, sink: ChunkSink, chunks: Sequence[bytes]) -> None:
        """Call `sink` with `chunks` on the thread where :meth:`BlobWriter.write` would work, and wait for it.

        A sink that hashes and calls `write_here` takes one change of threads per step instead of three, and the bytes
        are still in the processor's cache when the kernel copies them. What it raises is raised.
        """

    def write_here(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Do what :meth:`BlobWriter.write` does on the thread that calls it, which it blocks; on the event loop never.

        The task that the writer belongs to waits meanwhile.
        """


class BlobStore(Protocol):
    """A place for immutable objects and staged uploads.

    Visibility: once `put` or `publish` has returned, every process sees the object, and it survives a power cut. A key
    is written once; drivers need not support replacing. Errors are those of :mod:`entrepot.blobstore.errors`.
    """

    @property
    def name(self) -> str:
        """The driver's name as settings and metrics spell it."""
        ...

    async def put(self, key: str, data: bytes) -> None:
        """Store a small object durably (manifest bytes, journal entries; a few MiB at most).

        Storing the same bytes under the same key again is allowed and changes nothing.
        """

    async def put_new(self, key: str, data: bytes) -> bool:
        """Store a small object durably, as :meth:`put` does, unless something lies under the key; then return `False`.

        Of two who do so at once, one gets `False`. An object store without conditional writes can't tell, and replaces.
        """
        ...

    async def stat(self, key: str) -> int:
        """Return the size of an object in bytes.

        Raises:
            ObjectNotFoundError: when there is none.
        """
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes `[start, end)` of an object in chunks of at most 1 MiB; `end=None` means up to its end.

        A range is cut at the end of the object, like a slice.

        Raises:
            ObjectNotFoundError: when there is none, before the first chunk.
            StorageUnavailableError: when it breaks off in between.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove an object, with the marker that belongs to it; a missing one is fine.

        Raises:
            UploadBusyError: it is the staged bytes of an upload that a writer holds.
        """

    def list_objects(self, prefix: str, start_after: str = "") -> AsyncIterator[StoredObject]:
        """Yield objects whose key starts with `prefix`, in byte order, beginning after the key `start_after`.

        Byte order holds for the layout of :mod:`entrepot.blobstore.keys`, where no name is that of a directory beside
        it with `-`, `.` or `+` and more at its end: SeaweedFS would list that directory first.
        """
        ...

    async def list_folders(self, prefix: str) -> Sequence[str]:
        """Return the names between `prefix`, which ends with a slash, and the next slash of any key, in byte order.

        Costs what the names cost, however many keys lie below them. A name may be that of a folder whose last object
        was just removed.
        """
        ...

    async def open_writer(self, upload: UploadReference) -> BlobWriter:
        """Take the exclusive hold on an upload and cut its staged bytes back to `upload.offset`.

        Raises:
            UploadBusyError: another writer still holds it. A store without locks (S3) can't tell; there the fence in
                every key keeps the holders apart.
            UploadLostError: fewer than `upload.offset` bytes are there.
        """
        ...

    async def discard(self, upload: UploadReference) -> None:
        """Remove all staged bytes of an upload that ended without a blob; a missing one is fine.

        Close the writer first.

        Raises:
            UploadBusyError: a writer, perhaps one that is about to die, still holds them; try again later.
        """

    async def find_published(self, upload_id: str, digest: Digest) -> StoredObject | None:
        """Return the blob that an upload published under `digest` and whose publisher died before a row named it.

        On return its name is durable. `None` where there is none.

        Raises:
            UploadBusyError: its publisher still lives.
        """
        ...

    async def check(self) -> None:
        """Prove that the store can be written and read right now.

        Raises:
            StorageUnavailableError: with the reason.
        """

    async def capacity(self) -> Capacity | None:
        """Return how full the store is, `None` where the store does not tell (S3)."""
        ...

    async def aclose(self) -> None:
        """Release connections and threads. May be called again."""


@runtime_checkable
class LocalPaths(Protocol):
    """A driver whose objects are files of this machine, so that the kernel can send them without a copy."""

    def local_path(self, key: str) -> Path:
        """Return where the object lies; no check that it does."""
        ...


@runtime_checkable
class LocalSizes(Protocol):
    """A driver that can tell the size of an object within microseconds."""

    async def glance(self, key: str) -> int:
        """Return what :meth:`BlobStore.stat` would, but as the directory tells it: it may not be possible to open it.

        Raises:
            ObjectNotFoundError: when there is none.
        """
        ...


@runtime_checkable
class FileStager(Protocol):
    """A driver that can take the bytes of a file of this machine without copying them."""

    async def stage_file(self, upload: UploadReference, source: Path, sharing: Sharing) -> BlobWriter | None:
        """Make the whole of `source` the staged bytes of a new upload and take the hold on it.

        The writer takes no further bytes; its bytes are to be read under :meth:`BlobWriter.seal` and verified before
        it publishes them. `None` when source and store can't share in this way; then nothing is left behind. Closing
        and discarding never touch `source` itself.

        Raises:
            StorageUnavailableError: the store failed.
        """
        ...


@runtime_checkable
class PreparedPlace(Protocol):
    """A driver whose place can go from under it and then looks like an empty one: a volume that is unmounted."""

    async def prepare(self) -> None:
        """Make what the place needs and lacks.

        Raises:
            StorageUnavailableError: the place can't be used.
        """

    async def identify_place(self) -> str:
        """Return what tells this place from any that is put there instead; empty where it is not prepared.

        Raises:
            StorageUnavailableError: it can't be told.
        """
        ...

    async def require_prepared(self) -> None:
        """Ask whether what :meth:`prepare` makes is there; nothing is made.

        Raises:
            StorageUnavailableError: it is not, or that can't be told.
        """


@runtime_checkable
class SuspectableDisk(Protocol):
    """A driver that stops writing once the disk has failed to make something durable."""

    async def suspicion(self) -> str:
        """Return what failed, in any process of this node since the registry was started; empty when nothing did."""
        ...


@runtime_checkable
class MultipartUploads(Protocol):
    """A driver with parts of uploads that no listing of objects shows."""

    def list_unfinished(self) -> AsyncIterator[str]:
        """Yield the ids of uploads that have parts in the store which were neither completed nor aborted."""
        ...

    async def abort_unfinished(self, upload_id: str) -> None:
        """Drop all such parts of one upload; a missing one is fine."""


@runtime_checkable
class Presigner(Protocol):
    """A driver that can hand a client a short-lived address of its own for one object."""

    async def presign_read(self, key: str, lifetime_seconds: int) -> str:
        """Return a URL that allows reading exactly this object until `lifetime_seconds` from now (T18)."""
        ...
