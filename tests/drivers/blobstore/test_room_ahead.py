"""How room is taken ahead of a growing file and given back, and that no byte and no size depends on it (F2, F5)."""

from __future__ import annotations

import errno
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import StorageFullError
from entrepot.blobstore.filesystem import FilesystemBlobStore, volume
from entrepot.blobstore.filesystem.free_space import measure_capacity
from entrepot.blobstore.filesystem.room_ahead import LEAST_ROOM_BYTES, MOST_ROOM_BYTES, take_room
from entrepot.blobstore.keys import staged_key
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.staging import MIB, continued, data_of, new_upload, read_all, stage
from tests.drivers.blobstore.watched_operations import WatchedOperations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.blobstore.driver import BlobWriter

_BLOCK_BYTES = 512
"""The unit of `st_blocks`, whatever the file system's blocks are (stat(2))."""
_EXTENTS_BYTES = MIB
"""What a file may take besides its bytes: the last block of it, and those that tell where the others are."""


def _lie_on(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(_directory: Path) -> str:
        return kind

    monkeypatch.setattr(volume, "filesystem_kind", tell)


@pytest.fixture(autouse=True)
def _ext4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the tests' directory for one on ext4: whatever it lies on, the kernel answers for itself."""
    _lie_on("ext4", monkeypatch)


@pytest.fixture
def operations(tmp_path: Path) -> WatchedOperations:
    """Recorded system calls."""
    return WatchedOperations(tmp_path / "store")


@asynccontextmanager
async def _opened(
    operations: WatchedOperations, min_free_bytes: int = 0
) -> AsyncIterator[FilesystemBlobStore]:
    store = FilesystemBlobStore(operations.root, min_free_bytes=min_free_bytes, operations=operations)
    await store.prepare()
    yield store
    await store.aclose()


@pytest.fixture
async def disk(operations: WatchedOperations) -> AsyncIterator[FilesystemBlobStore]:
    """A prepared store that makes them."""
    async with _opened(operations) as store:
        yield store


def _taken(path: Path) -> int:
    return path.stat().st_blocks * _BLOCK_BYTES


async def _append(writer: BlobWriter, mebibytes: int) -> None:
    for _ in range(mebibytes):
        await writer.write([bytes(MIB)])


async def test_room_doubles_what_is_there_and_a_published_blob_keeps_none_of_it(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    """At 16 MiB for 16 more, at 32 for 32 more: two calls in place of a search for blocks at each of 50 writes."""
    upload, data = new_upload(), data_of(50 * MIB)
    staged = disk.local_path(staged_key(upload.upload_id))
    writer = await disk.open_writer(upload)
    for offset in range(0, len(data), MIB):
        await writer.write([data[offset : offset + MIB]])
    assert operations.counts["take_room"] == 2
    assert (staged.stat().st_size, _taken(staged) >= 64 * MIB) == (len(data), True)
    key = await writer.publish(Digest.of_bytes(data))
    # Given back before it had its name, not when the writer is closed.
    assert len(data) <= _taken(disk.local_path(key)) < len(data) + _EXTENTS_BYTES
    await writer.close()
    assert operations.counts["sync_data"] == 1
    assert await read_all(disk, key) == data


async def test_no_more_than_64_mib_are_taken_at_once(disk: FilesystemBlobStore) -> None:
    """An upload of 200 MiB, most of it a hole, goes on."""
    upload = new_upload()
    staged = disk.local_path(staged_key(upload.upload_id))
    staged.touch()
    os.truncate(staged, 200 * MIB)
    writer = await disk.open_writer(UploadReference(upload.upload_id, 2, b"", 200 * MIB))
    await _append(writer, 1)
    assert MOST_ROOM_BYTES <= _taken(staged) < MOST_ROOM_BYTES + _EXTENTS_BYTES
    await writer.close()


async def test_a_layer_of_16_mib_takes_no_room(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    """Most layers are smaller than that and would give all of it back."""
    writer = await disk.open_writer(new_upload())
    await _append(writer, LEAST_ROOM_BYTES // MIB)
    await writer.close()
    assert operations.counts["take_room"] == 0


async def test_file_systems_that_do_not_gain_by_it_are_not_asked(
    operations: WatchedOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Btrfs does not compress what lies in room that was taken ahead."""
    _lie_on("btrfs", monkeypatch)
    async with _opened(operations) as store:
        writer = await store.open_writer(new_upload())
        await _append(writer, 20)
        await writer.close()
    assert operations.counts["take_room"] == 0


async def test_what_a_request_leaves_unused_is_given_back_at_its_end(disk: FilesystemBlobStore) -> None:
    """A client that pauses between two PATCHes, or never comes back, holds its bytes and nothing else."""
    upload = new_upload()
    staged = disk.local_path(staged_key(upload.upload_id))
    await stage(disk, upload, bytes(20 * MIB))
    assert staged.stat().st_size == 20 * MIB
    assert _taken(staged) < 20 * MIB + _EXTENTS_BYTES


async def test_room_of_a_process_that_was_killed_is_given_back_by_whoever_goes_on(
    disk: FilesystemBlobStore,
) -> None:
    """F1: it had no time to; the upload then ends as if nothing had been."""
    current = await stage(disk, new_upload(), bytes(20 * MIB))
    staged = disk.local_path(staged_key(current.upload_id))
    with staged.open("r+b") as file:
        take_room(file.fileno(), 20 * MIB, 40 * MIB)
    assert (staged.stat().st_size, _taken(staged) >= 60 * MIB) == (20 * MIB, True)
    writer = await disk.open_writer(continued(current))
    assert _taken(staged) < 20 * MIB + _EXTENTS_BYTES
    key = await writer.publish(Digest.of_bytes(bytes(20 * MIB)))
    await writer.close()
    assert await read_all(disk, key) == bytes(20 * MIB)


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSPC, errno.EDQUOT, errno.ENOSYS])
async def test_a_file_system_that_gives_no_room_ahead_takes_the_bytes_all_the_same(
    disk: FilesystemBlobStore, operations: WatchedOperations, code: int
) -> None:
    """F5: ext3 under ext4's driver, a quota that is nearly used up. It is not asked again for this file."""
    operations.fail_next["take_room"] = code
    data = data_of(40 * MIB)
    writer = await disk.open_writer(new_upload())
    await writer.write([data[: 20 * MIB]])
    await writer.write([data[20 * MIB : 30 * MIB]])
    await writer.write([data[30 * MIB :]])
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert operations.counts["take_room"] == 1
    assert await read_all(disk, key) == data


async def test_near_the_floor_of_free_bytes_nothing_is_taken_that_others_may_need(
    operations: WatchedOperations, tmp_path: Path
) -> None:
    """F5: half a gibibyte above it bytes are still taken, and no room for those that may never come."""
    floor = measure_capacity(tmp_path).available_bytes - 512 * MIB
    async with _opened(operations, floor) as store:
        writer = await store.open_writer(new_upload())
        await _append(writer, 20)
        await writer.close()
    assert operations.counts["take_room"] == 0


async def test_after_a_write_that_failed_the_file_has_neither_its_bytes_nor_room(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    """F5: the disk became full; once it has room again, the upload goes on where it was, and takes room anew."""
    upload, data = new_upload(), data_of(21 * MIB)
    staged = disk.local_path(staged_key(upload.upload_id))
    writer = await disk.open_writer(upload)
    await writer.write([data[: 17 * MIB]])
    await writer.write([data[17 * MIB : 18 * MIB]])
    assert operations.counts["take_room"] == 1
    operations.fail_next["write_at"] = errno.ENOSPC
    with pytest.raises(StorageFullError):
        await writer.write([data[18 * MIB :]])
    assert staged.stat().st_size == 18 * MIB
    assert _taken(staged) < 18 * MIB + _EXTENTS_BYTES
    await writer.write([data[18 * MIB :]])
    assert operations.counts["take_room"] == 2
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert await read_all(disk, key) == data


def test_room_is_taken_where_it_was_asked_for_behind_4_gib_too(tmp_path: Path) -> None:
    """An offset cut to 32 bits would lie within the file, and its room would not go with what lies beyond the end."""
    path, size = tmp_path / "file", 5 * 1024 * MIB
    with path.open("wb") as file:
        file.truncate(size)
        take_room(file.fileno(), size, MIB)
        assert (path.stat().st_size, _taken(path) >= MIB) == (size, True)
        file.truncate(size)
    assert _taken(path) < MIB


def test_the_kernel_s_refusal_is_an_error(tmp_path: Path) -> None:
    """A descriptor that is closed, a range that can't be."""
    with pytest.raises(OSError, match="fallocate") as refused:
        take_room(-1, 0, MIB)
    assert refused.value.errno == errno.EBADF
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="fallocate") as refused:
        take_room(file.fileno(), 0, 0)
    assert refused.value.errno == errno.EINVAL
