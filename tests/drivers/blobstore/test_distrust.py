"""Whether a disk is trusted after it failed to make something durable, and what is no reason to distrust it."""

from __future__ import annotations

import asyncio
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.errors import StorageFullError, StorageSuspectError, StorageUnavailableError
from entrepot.blobstore.filesystem import FilesystemBlobStore
from entrepot.blobstore.filesystem.disk_threads import DiskThreads
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.staging import keys_of, new_upload, push, read_all
from tests.drivers.blobstore.watched_operations import WatchedOperations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def operations(tmp_path: Path) -> WatchedOperations:
    """Recorded system calls."""
    return WatchedOperations(tmp_path / "store")


@pytest.fixture
async def disk(operations: WatchedOperations) -> AsyncIterator[FilesystemBlobStore]:
    """A prepared store that makes them."""
    store = FilesystemBlobStore(operations.root, operations=operations)
    await store.prepare()
    yield store
    await store.aclose()


async def test_f7_after_a_failed_fsync_no_bytes_are_taken_until_somebody_starts_it_anew(
    operations: WatchedOperations, tmp_path: Path
) -> None:
    """Not by this store, nor by that of another process of the node, though the disk would take them again."""
    marker = tmp_path / "suspect"
    disk = FilesystemBlobStore(operations.root, operations=operations, suspicion_marker=marker)
    other = FilesystemBlobStore(operations.root, suspicion_marker=marker)
    await disk.prepare()
    await push(other, [b"before"])
    assert (await disk.suspicion(), await other.suspicion()) == ("", "")
    operations.fail_next["sync_data"] = errno.EIO
    with pytest.raises(StorageSuspectError):
        await disk.put("manifests/sha256/aa/bb/1", b"x")

    for store in (disk, other, FilesystemBlobStore(operations.root, suspicion_marker=marker)):
        assert "fdatasync" in await store.suspicion()
        with pytest.raises(StorageSuspectError, match="fdatasync"):
            await store.open_writer(new_upload())
        with pytest.raises(StorageSuspectError):
            await store.put("manifests/sha256/aa/bb/1", b"x")
        with pytest.raises(StorageSuspectError):
            await store.find_published(new_upload().upload_id, Digest.of_bytes(b"x"))
        with pytest.raises(StorageSuspectError):
            await store.check()
        (key,) = await keys_of(store)
        assert await read_all(store, key) == b"before"

    marker.unlink()
    again = FilesystemBlobStore(operations.root, suspicion_marker=marker)
    await push(again, [b"after"])
    for store in (disk, other, again):
        await store.aclose()


async def test_f10_a_directory_that_cannot_be_opened_is_no_failed_fsync(
    disk: FilesystemBlobStore, operations: WatchedOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For want of a descriptor an object is given up, and the upload too, but the disk is trusted as before."""
    opened = os.open

    def refuse_directories(path: Path, flags: int, mode: int = 0o777, **more: int) -> int:
        if flags & os.O_DIRECTORY:
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(path, flags, mode, **more)

    writer = await disk.open_writer(new_upload())
    await writer.write([b"abc"])
    with monkeypatch.context() as patches:
        patches.setattr(os, "open", refuse_directories)
        with pytest.raises(StorageUnavailableError, match="Too many open files") as refusal:
            await disk.put("manifests/sha256/aa/bb/1", b"x")
        assert not isinstance(refusal.value, StorageSuspectError)
        with pytest.raises(StorageUnavailableError, match="Too many open files"):
            await writer.checkpoint()
    await writer.close()
    assert await keys_of(disk) == []
    await disk.check()
    await push(disk, [b"abc"])


@pytest.mark.parametrize("method", ["sync_data", "sync_directory"])
async def test_f5_a_flush_that_finds_the_disk_full_gives_up_the_file_and_not_the_disk(
    disk: FilesystemBlobStore, operations: WatchedOperations, method: str
) -> None:
    """Where blocks are given out late, the flush is the first to hear that there are none."""
    writer = await disk.open_writer(new_upload())
    await writer.write([b"abc"])
    operations.fail_next[method] = errno.ENOSPC
    with pytest.raises(StorageFullError):
        await writer.checkpoint()
    with pytest.raises(StorageUnavailableError):
        await writer.publish(Digest.of_bytes(b"abc"))
    await writer.close()
    assert await keys_of(disk) == []
    await disk.check()


async def test_f7_a_suspicion_that_cannot_be_written_down_holds_in_its_process(
    operations: WatchedOperations, tmp_path: Path
) -> None:
    disk = FilesystemBlobStore(
        operations.root, operations=operations, suspicion_marker=tmp_path / "missing" / "suspect"
    )
    await disk.prepare()
    operations.fail_next["sync_directory"] = errno.EIO
    with pytest.raises(StorageSuspectError):
        await disk.put("manifests/sha256/aa/bb/1", b"x")
    with pytest.raises(StorageSuspectError):
        await disk.open_writer(new_upload())
    await disk.aclose()


class _NoMoreThreads(ThreadPoolExecutor):
    """An executor whose second thread the kernel refuses, as at a limit of processes or memory."""

    def _adjust_thread_count(self) -> None:
        if self._threads:
            raise RuntimeError("can't start new thread")
        super()._adjust_thread_count()


async def test_f10_a_call_that_finds_no_thread_is_refused_and_never_made(tmp_path: Path) -> None:
    """The executor has queued it before it fails: a file that is opened and locked for nobody would stay locked."""
    made: list[str] = []
    started, release = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

    with _NoMoreThreads(2) as executor:
        threads = DiskThreads(executor, 0)
        busy = asyncio.create_task(threads.run(wait))
        await started.wait()
        with pytest.raises(StorageUnavailableError, match="no thread can be started"):
            await threads.acquire(lambda: made.append("acquired"), lambda _: None)
        with pytest.raises(StorageUnavailableError, match="no thread can be started"):
            await threads.run(made.append, "run")
        release.set()
        await busy
    assert made == []
