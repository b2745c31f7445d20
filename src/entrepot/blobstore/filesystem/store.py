"""The driver for a directory on a local disk."""

from __future__ import annotations

from functools import partial
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.blobstore.filesystem.disk_errors import disk_errors_translated
from entrepot.blobstore.filesystem.disk_threads import DiskThreads
from entrepot.blobstore.filesystem.durable import DurableOperations
from entrepot.blobstore.filesystem.free_space import measure_capacity
from entrepot.blobstore.filesystem.listing import list_folders, walk_objects
from entrepot.blobstore.filesystem.object_file import ObjectFile, named_size, object_size, read_in_memory
from entrepot.blobstore.filesystem.published_file import claim_published
from entrepot.blobstore.filesystem.shared_file import open_shared_file
from entrepot.blobstore.filesystem.small_objects import write_new_object, write_object
from entrepot.blobstore.filesystem.staged_file import StagedFile, open_staged_file, remove_unheld
from entrepot.blobstore.filesystem.suspicion import Suspicion
from entrepot.blobstore.filesystem.volume import Volume
from entrepot.blobstore.filesystem.writer import FilesystemWriter
from entrepot.blobstore.keys import UPLOADS, require_prefix, require_upload_id, staged_key
from entrepot.kernel.cached_reads import CachedReads
from entrepot.kernel.ids import new_public_id
from entrepot.kernel.loop_allowance import LoopAllowance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from entrepot.blobstore.driver import Capacity, Sharing, StoredObject, UploadReference
    from entrepot.oci.digest import Digest

__all__ = ["FilesystemBlobStore"]

_READ_BYTES: Final = 1024 * 1024
_QUICK_BYTES: Final = 128 * 1024
"""Copied on the event loop, at most: some 20 µs."""
_LISTING_BATCH: Final = 1000
_THREAD_COUNT: Final = 16
_PROBE: Final = b"entrepot storage check\n"


class FilesystemBlobStore:
    """A :class:`BlobStore` with files that can be named, measured and shared, on one directory tree of one local disk.

    Several processes may use the same root at once. Call :meth:`prepare` before anything else.
    """

    def __init__(
        self,
        root: Path,
        *,
        min_free_bytes: int = 0,
        executor: Executor | None = None,
        operations: DurableOperations | None = None,
        suspicion_marker: Path | None = None,
        local_only: bool = True,
    ) -> None:
        """Take `root` as the store's directory; nothing is touched yet.

        Args:
            root: an absolute path on a local file system.
            min_free_bytes: uploads get a StorageFullError once fewer bytes would stay free; small objects do not.
            executor: where disk calls run; own threads when there is none, 16 for what changes the disk and 16 for
                what reads it. A given one is not shut down.
            operations: the system calls that make bytes durable; tests count them or make them fail.
            suspicion_marker: a file that tells all who give the same one that an fsync failed.
            local_only: whether to refuse a network file system. A backup may lie on one: only one process writes an
                upload there, and every byte is verified when it is read.
        """
        self._threads = DiskThreads(executor, _THREAD_COUNT)
        self._allowance = LoopAllowance()
        self._cached = CachedReads()
        # Apart from those that wait for a disk which is slow to write: pulls need not stand behind pushes (F8).
        self._reading = DiskThreads(executor, _THREAD_COUNT)
        self._volume = Volume(
            root,
            min_free_bytes,
            operations or DurableOperations(),
            Suspicion(suspicion_marker),
            local_only=local_only,
        )

    @property
    def name(self) -> str:
        """The driver's name."""
        return "filesystem"

    async def prepare(self) -> None:
        """Create the upper directories and make them durable; may be called by every process.

        Raises:
            StorageUnavailableError: the root can't be used, or lies on a network file system.
        """
        await self._threads.run(self._volume.prepare)

    async def identify_place(self) -> str:
        """See :class:`entrepot.blobstore.driver.PreparedPlace`."""
        return await self._reading.run(self._volume.identify)

    async def require_prepared(self) -> None:
        """See :class:`entrepot.blobstore.driver.PreparedPlace`."""
        await self._reading.run(self._volume.require_prepared)

    def local_path(self, key: str) -> Path:
        """Return where the object lies; no check that it does."""
        return self._volume.path_of(key)

    async def put(self, key: str, data: bytes) -> None:
        """Store a small object durably."""
        await self._threads.run(write_object, self._volume, key, data)

    async def put_new(self, key: str, data: bytes) -> bool:
        """Store a small object durably where there is none."""
        return await self._threads.run(write_new_object, self._volume, key, data)

    async def stat(self, key: str) -> int:
        """Return the size of an object in bytes."""
        return await self._reading.run(object_size, self._volume.path_of(key), key)

    async def glance(self, key: str) -> int:
        """Return the size of an object as its directory tells it; on the event loop as long as the disk is quick."""
        path = self._volume.text_of(key)
        started = perf_counter()
        if not self._allowance.allows(started):
            return await self._reading.run(named_size, path, key)
        size = named_size(path, key)
        self._allowance.record(started, perf_counter())
        return size

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield a range of an object; a range that reaches beyond the end is cut there.

        A short one that the kernel has in memory is read on the event loop, as long as the disk is quick to find files.
        """
        if end is not None and end - start <= _QUICK_BYTES and (quick := self._read_quickly(key, start, end)):
            yield quick
            return
        first_wanted = _READ_BYTES if end is None else min(_READ_BYTES, end - start)
        opened, chunk = await self._reading.acquire(
            partial(_open_and_read, self._volume.path_of(key), key, start, first_wanted), _close_opened
        )
        if opened is None:  # the whole range came at once, as of every small blob
            if chunk:
                yield chunk
            return
        try:
            offset = start
            while chunk:  # one at a time: a client that takes nothing holds this one for as long as it may
                yield chunk
                offset += len(chunk)
                if end is not None and offset >= end:
                    return
                wanted = _READ_BYTES if end is None else min(_READ_BYTES, end - offset)
                chunk = await self._reading.run(opened.read_at, offset, wanted)
        finally:
            self._reading.run_later(opened.close)

    async def delete(self, key: str) -> None:
        """Remove an object; one in the staging directory only when nobody holds it.

        Raises:
            UploadBusyError: somebody does.
        """
        path = self._volume.path_of(key)
        if key.startswith(UPLOADS):
            await self._threads.run(remove_unheld, path, key.removeprefix(UPLOADS))
        else:
            await self._threads.run(self._volume.remove, key)

    async def list_objects(self, prefix: str, start_after: str = "") -> AsyncIterator[StoredObject]:
        """Yield objects in byte order; one directory at a time is held in memory."""
        walk = walk_objects(self._volume.root, require_prefix(prefix), start_after)
        while batch := await self._threads.run(_take_batch, walk):
            for found in batch:
                yield found

    async def list_folders(self, prefix: str) -> Sequence[str]:
        """Return names of directories, without looking into them."""
        return await self._threads.run(_list_folders, self._volume.root, require_prefix(prefix))

    async def open_writer(self, upload: UploadReference) -> FilesystemWriter:
        """Open and lock the staged file; a cancelled wait does not leave it locked."""
        staged = await self._threads.acquire(
            partial(open_staged_file, self._volume, upload), StagedFile.close
        )
        return FilesystemWriter(self._threads, staged, upload.upload_id)

    async def stage_file(
        self, upload: UploadReference, source: Path, sharing: Sharing
    ) -> FilesystemWriter | None:
        """See :class:`entrepot.blobstore.driver.FileStager`."""
        staged = await self._threads.acquire(
            partial(open_shared_file, self._volume, upload, source, sharing), _close_staged
        )
        return None if staged is None else FilesystemWriter(self._threads, staged, upload.upload_id)

    async def discard(self, upload: UploadReference) -> None:
        """Remove the staged file.

        Raises:
            UploadBusyError: a writer still holds it, and might go on writing or publish.
        """
        path = self._volume.path_of(staged_key(require_upload_id(upload.upload_id)))
        await self._threads.run(remove_unheld, path, upload.upload_id)

    async def find_published(self, upload_id: str, digest: Digest) -> StoredObject | None:
        """Look for the upload's file among the copies of the digest.

        Raises:
            UploadBusyError: whoever moved it there still holds it.
        """
        return await self._threads.run(claim_published, self._volume, require_upload_id(upload_id), digest)

    async def check(self) -> None:
        """Write, read and delete a tiny object, unless the disk is suspect already."""
        await self._threads.run(self._probe)

    async def capacity(self) -> Capacity:
        """Return how full the file system is, other users of it included."""
        with disk_errors_translated("measure the free space"):
            return await self._threads.run(measure_capacity, self._volume.root)

    async def suspicion(self) -> str:
        """Return the fsync that failed since the registry was started, empty when none did."""
        return await self._threads.run(self._volume.suspicion.reason)

    async def aclose(self) -> None:
        """End own threads."""
        await self._threads.aclose()
        await self._reading.aclose()

    def _read_quickly(self, key: str, start: int, end: int) -> bytes | None:
        started = perf_counter()
        if not self._cached.are_possible or not self._allowance.allows(started):
            return None
        content = read_in_memory(self._cached, self._volume.text_of(key), start, end)
        self._allowance.record(started, perf_counter())
        return content

    def _probe(self) -> None:
        key = f"{UPLOADS}check-{new_public_id()}"
        write_object(self._volume, key, _PROBE)
        try:
            probe = ObjectFile(self._volume.path_of(key), key)
            found = probe.read_at(0, len(_PROBE) + 1)
            probe.close()
        finally:
            self._volume.remove(key)
        if found != _PROBE:
            raise StorageUnavailableError(f"{key} does not hold what was written to it")


def _list_folders(root: Path, prefix: str) -> Sequence[str]:
    with disk_errors_translated("list directories"):
        return list_folders(root, prefix)


def _open_and_read(path: Path, key: str, start: int, wanted: int) -> tuple[ObjectFile | None, bytes]:
    """Return the first bytes, and the open file unless they were the last: one call on a thread instead of four."""
    opened = ObjectFile(path, key)
    try:
        first = opened.read_at(start, wanted) if wanted > 0 else b""
    except BaseException:
        opened.close()
        raise
    if len(first) < wanted or not first:  # a regular file gives less than was asked for at its end only
        opened.close()
        return None, first
    return opened, first


def _close_staged(staged: StagedFile | None) -> None:
    if staged is not None:
        staged.close()


def _close_opened(result: tuple[ObjectFile | None, bytes]) -> None:
    if result[0] is not None:
        result[0].close()


def _take_batch(walk: Iterator[StoredObject]) -> list[StoredObject]:
    with disk_errors_translated("list objects"):
        return list(islice(walk, _LISTING_BATCH))
