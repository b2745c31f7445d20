"""How the write-back of a growing file is started early, and that nothing is promised by it (F5, F7)."""

from __future__ import annotations

import errno
import hashlib
import threading
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.driver import ThreadedWriter, UploadReference
from entrepot.blobstore.errors import StorageFullError
from entrepot.blobstore.filesystem import FilesystemBlobStore
from entrepot.blobstore.filesystem.write_back import WRITE_BACK_STEP_BYTES, WriteBack, start_writing_back
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.staging import MIB, data_of, new_upload, read_all
from tests.drivers.blobstore.watched_operations import WatchedOperations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
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
    operations.log.clear()
    yield store
    await store.aclose()


def test_ranges_follow_each_other_without_gaps_and_are_never_short() -> None:
    """Begun in the middle of an upload, as a later PATCH does."""
    progress = WriteBack(5)
    assert progress.due(5 + WRITE_BACK_STEP_BYTES - 1) is None
    assert progress.due(5 + WRITE_BACK_STEP_BYTES) == (5, WRITE_BACK_STEP_BYTES)
    assert progress.due(6 + WRITE_BACK_STEP_BYTES) is None
    assert progress.due(6 + 3 * WRITE_BACK_STEP_BYTES) == (
        5 + WRITE_BACK_STEP_BYTES,
        1 + 2 * WRITE_BACK_STEP_BYTES,
    )


def test_the_kernel_takes_the_call_and_its_refusal_is_an_error(tmp_path: Path) -> None:
    """Of a pipe or a closed descriptor nothing can be written back."""
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(MIB))
        file.flush()
        start_writing_back(file.fileno(), 0, MIB)
    with pytest.raises(OSError, match="sync_file_range") as refused:
        start_writing_back(-1, 0, MIB)
    assert refused.value.errno == errno.EBADF


async def test_a_large_layer_is_written_back_as_it_grows_and_still_synced_once(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    """Two starts for 40 MiB, both before the one data fsync that the promise rests on (I1)."""
    writer = await disk.open_writer(new_upload())
    for _ in range(40):
        await writer.write([bytes(MIB)])
    await writer.checkpoint()
    await writer.close()
    calls = [name for name, _ in operations.log if name in {"start_writing_back", "sync_data"}]
    assert calls == ["start_writing_back", "start_writing_back", "sync_data"]


async def test_a_write_back_that_fails_is_left_to_the_fsync(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    """F7: only what fsync says counts; the bytes are all there and published."""
    operations.fail_next["start_writing_back"] = errno.EIO
    data = data_of(WRITE_BACK_STEP_BYTES + MIB)
    writer = await disk.open_writer(new_upload())
    await writer.write([data])
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert operations.counts["start_writing_back"] == 1
    assert operations.counts["sync_data"] == 1
    assert await read_all(disk, key) == data


async def test_a_thread_of_the_writer_can_hash_and_write_a_step(disk: FilesystemBlobStore) -> None:
    """The digest of a push is computed this way."""
    chunks = [data_of(MIB), data_of(3)]
    seen = hashlib.sha256()
    writer = await disk.open_writer(new_upload())
    assert isinstance(writer, ThreadedWriter)

    def take(step: Sequence[bytes | memoryview]) -> None:
        assert threading.current_thread() is not threading.main_thread()
        for chunk in step:
            seen.update(chunk)
        writer.write_here(step)

    await writer.lend_thread(take, chunks)
    assert writer.offset == MIB + 3
    assert seen.digest() == hashlib.sha256(b"".join(chunks)).digest()
    await writer.close()


async def test_a_step_that_the_disk_refuses_is_not_counted_on_a_thread_that_was_lent(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    """F5: a full disk; the upload ends where it ended before."""
    upload = new_upload()
    writer = await disk.open_writer(upload)
    await writer.write([b"first"])
    state = await writer.checkpoint()
    operations.fail_next["write_at"] = errno.ENOSPC
    assert isinstance(writer, ThreadedWriter)
    with pytest.raises(StorageFullError):
        await writer.lend_thread(writer.write_here, [b"second"])
    assert writer.offset == len(b"first")
    await writer.close()
    again = await disk.open_writer(UploadReference(upload.upload_id, 2, state, len(b"first")))
    assert again.offset == len(b"first")
    await again.close()
