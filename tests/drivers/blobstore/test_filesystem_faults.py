"""What the filesystem driver does when the disk is full, broken, lies about a flush, or has another writer."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.errors import (
    ObjectNotFoundError,
    StorageFullError,
    StorageSuspectError,
    StorageUnavailableError,
    UploadLostError,
)
from entrepot.blobstore.filesystem import UNSUITABLE_KINDS, FilesystemBlobStore, filesystem_kind
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.staging import (
    MIB,
    continued,
    data_of,
    keys_of,
    new_upload,
    push,
    read_all,
    stage,
)
from tests.drivers.blobstore.watched_operations import WatchedOperations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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


async def test_a_layer_costs_one_data_fsync_and_its_new_directories(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    """The order is the promise: bytes, then the name, then every directory that is new (I1)."""
    data = data_of(3 * MIB)
    writer = await disk.open_writer(new_upload())
    for start in range(0, len(data), MIB):
        await writer.write([data[start : start + MIB]])
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    folder = os.path.dirname(key)  # noqa: PTH120  # a key is not a path
    fan_out = os.path.dirname(folder)  # noqa: PTH120  # as above
    writes = [entry for entry in operations.log if entry[0] == "write_at"]
    assert len(writes) == 3
    assert [entry for entry in operations.log if entry[0] != "write_at"] == [
        ("sync_data", f"uploads/{key.rpartition('/')[2]}"),
        ("make_directory", "blobs/sha256"),
        ("make_directory", fan_out),
        ("make_directory", folder),
        ("rename", key),
        ("sync_directory", folder),
        ("sync_directory", fan_out),
        ("sync_directory", "blobs/sha256"),
        ("sync_directory", "blobs"),
    ]


async def test_directories_this_process_made_durable_are_not_synced_again(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    await push(disk, [b"layer"])
    operations.log.clear()
    await push(disk, [b"layer"])
    synced = [path for name, path in operations.log if name == "sync_directory"]
    folder = f"blobs/sha256/{Digest.of_bytes(b'layer').hex[:2]}"
    assert synced == ["uploads", f"{folder}/{Digest.of_bytes(b'layer').hex}", folder]


async def test_directories_another_process_made_are_synced(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    """The other one may have died before its own fsync."""
    digest = Digest.of_bytes(b"layer")
    (operations.root / "blobs/sha256" / digest.hex[:2] / digest.hex).mkdir(parents=True)
    await push(disk, [b"layer"])
    synced = [path for name, path in operations.log if name == "sync_directory"]
    assert synced[1:] == [
        f"blobs/sha256/{digest.hex[:2]}/{digest.hex}",
        f"blobs/sha256/{digest.hex[:2]}",
        "blobs/sha256",
        "blobs",
    ]


async def test_a_checkpoint_without_new_bytes_costs_no_fsync(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    writer = await disk.open_writer(new_upload())
    await writer.write([b"abc"])
    await writer.checkpoint()
    await writer.checkpoint()
    await writer.publish(Digest.of_bytes(b"abc"))
    await writer.close()
    assert operations.counts["sync_data"] == 1


async def test_an_upload_that_goes_on_costs_no_second_fsync_of_the_same_bytes(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    """The usual client: one PATCH with everything, one empty PUT."""
    await push(disk, [data_of(MIB)])
    assert operations.counts["sync_data"] == 1


async def test_a_small_object_is_synced_before_and_after_its_name_appears(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    await disk.put("journal/x/entries/1", b"fact")
    names = [name for name, _ in operations.log if name != "make_directory"]
    assert names == ["write_at", "sync_data", "rename", *["sync_directory"] * 3]
    operations.log.clear()
    await disk.put("journal/x/entries/2", b"fact")
    assert [name for name, _ in operations.log] == ["write_at", "sync_data", "rename", "sync_directory"]


async def test_f4_short_writes_are_continued(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    operations.most_bytes_per_write = 7
    data = data_of(100)
    writer = await disk.open_writer(new_upload())
    await writer.write([data[:5], b"", data[5:6], data[6:50], data[50:]])
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert await read_all(disk, key) == data


@pytest.mark.parametrize("most_taken", [None, 100_000])
async def test_long_chunks_are_written_by_the_mebibyte(
    disk: FilesystemBlobStore, operations: WatchedOperations, most_taken: int | None
) -> None:
    """However they are cut, and however little the kernel takes of what it is given."""
    operations.most_bytes_per_write = most_taken
    data = data_of(2 * MIB)
    ends = [0, 1, 70_000, 262_144, 262_145, 524_289, MIB + 17, 2 * MIB]
    writer = await disk.open_writer(new_upload())
    await writer.write([data[start:end] for start, end in pairwise(ends)])
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert operations.longest_write == MIB
    assert operations.counts["write_at"] == (2 if most_taken is None else 21)
    assert await read_all(disk, key) == data


async def test_more_chunks_than_the_kernel_takes_at_once(disk: FilesystemBlobStore) -> None:
    chunks = [bytes([index % 251]) for index in range(3 * os.sysconf("SC_IOV_MAX") + 1)]
    writer = await disk.open_writer(new_upload())
    await writer.write(chunks)
    key = await writer.publish(Digest.of_bytes(b"".join(chunks)))
    await writer.close()
    assert await read_all(disk, key) == b"".join(chunks)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EIO, StorageUnavailableError),
        (errno.EROFS, StorageUnavailableError),
    ],
)
async def test_f5_f6_a_failed_write_counts_for_nothing_and_the_upload_goes_on(
    disk: FilesystemBlobStore, operations: WatchedOperations, code: int, expected: type[Exception]
) -> None:
    writer = await disk.open_writer(new_upload())
    await writer.write([b"first"])
    operations.fail_next["write_at"] = code
    with pytest.raises(expected):
        await writer.write([b"second"])
    assert writer.offset == 5
    key = await writer.publish(Digest.of_bytes(b"first"))
    await writer.close()
    assert await read_all(disk, key) == b"first"


@pytest.mark.parametrize("method", ["write_at", "rename", "make_directory"])
async def test_f5_a_failed_put_leaves_nothing(
    disk: FilesystemBlobStore, operations: WatchedOperations, method: str
) -> None:
    operations.fail_next[method] = errno.ENOSPC
    with pytest.raises(StorageFullError):
        await disk.put("manifests/sha256/aa/bb/1", b"x")
    assert await keys_of(disk) == []
    await disk.put("manifests/sha256/aa/bb/1", b"x")
    assert await keys_of(disk) == ["manifests/sha256/aa/bb/1"]


async def test_f7_a_failed_fsync_drops_the_upload_and_marks_the_disk(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    await disk.check()
    upload = new_upload()
    writer = await disk.open_writer(upload)
    await writer.write([b"abc"])
    operations.fail_next["sync_data"] = errno.EIO
    with pytest.raises(StorageSuspectError):
        await writer.checkpoint()
    synced_before = operations.counts["sync_data"]
    with pytest.raises(StorageUnavailableError):
        await writer.checkpoint()
    with pytest.raises(StorageUnavailableError):
        await writer.publish(Digest.of_bytes(b"abc"))
    await writer.close()
    assert operations.counts["sync_data"] == synced_before
    assert await keys_of(disk) == []
    with pytest.raises(StorageSuspectError):
        await disk.check()


@pytest.mark.parametrize("step", ["checkpoint", "publish"])
async def test_f7_a_failed_fsync_of_a_directory_drops_the_bytes(
    disk: FilesystemBlobStore, operations: WatchedOperations, step: str
) -> None:
    writer = await disk.open_writer(new_upload())
    await writer.write([b"abc"])
    operations.fail_next["sync_directory"] = errno.EIO
    with pytest.raises(StorageSuspectError):
        await (writer.checkpoint() if step == "checkpoint" else writer.publish(Digest.of_bytes(b"abc")))
    await writer.close()
    assert await keys_of(disk) == []
    with pytest.raises(StorageSuspectError):
        await disk.check()


@pytest.mark.parametrize("method", ["sync_data", "sync_directory"])
async def test_f7_a_failed_fsync_of_a_small_object_drops_it(
    disk: FilesystemBlobStore, operations: WatchedOperations, method: str
) -> None:
    operations.fail_next[method] = errno.EIO
    with pytest.raises(StorageSuspectError):
        await disk.put("manifests/sha256/aa/bb/1", b"x")
    assert operations.counts[method] == 1
    assert await keys_of(disk) == []


async def test_f6_check_tells_of_a_disk_that_refuses(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    operations.fail_next["write_at"] = errno.EROFS
    with pytest.raises(StorageUnavailableError, match="Read-only"):
        await disk.check()
    await disk.check()


async def test_f5_uploads_are_refused_before_the_disk_is_full_and_small_objects_are_not(
    tmp_path: Path,
) -> None:
    store = FilesystemBlobStore(tmp_path / "store", min_free_bytes=2**62)
    await store.prepare()
    writer = await store.open_writer(new_upload())
    with pytest.raises(StorageFullError):
        await writer.write([b"x"])
    assert writer.offset == 0
    await writer.close()
    await store.put("manifests/sha256/aa/bb/1", b"x")
    await store.check()
    await store.aclose()


async def test_f12_a_removed_staged_file_is_noticed(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    upload = new_upload()
    writer = await disk.open_writer(upload)
    await writer.write([b"abc"])
    (operations.root / "uploads" / upload.upload_id).unlink()
    with pytest.raises(UploadLostError):
        await writer.publish(Digest.of_bytes(b"abc"))
    await writer.close()
    assert await keys_of(disk) == []


@pytest.mark.parametrize("offset", [0, 3])
async def test_a_file_that_vanishes_between_opening_and_locking_is_not_written_to(
    disk: FilesystemBlobStore, operations: WatchedOperations, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """Another process may publish or discard it just then; its bytes must not be touched any more."""
    staged = await stage(disk, new_upload(), b"abc")
    path = operations.root / "uploads" / staged.upload_id
    published = operations.root / "published elsewhere"
    lock = fcntl.flock

    def publish_then_lock(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        path.rename(published)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", publish_then_lock)
    if offset:
        with pytest.raises(UploadLostError):
            await disk.open_writer(continued(staged))
    else:
        writer = await disk.open_writer(type(staged)(staged.upload_id, 2, b"", 0))
        await writer.write([b"other"])
        await writer.close()
        assert path.read_bytes() == b"other"
    assert published.read_bytes() == b"abc"


async def test_f12_a_truncated_staged_file_is_noticed(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    staged = await stage(disk, new_upload(), b"abcdef")
    os.truncate(operations.root / "uploads" / staged.upload_id, 3)
    with pytest.raises(UploadLostError):
        await disk.open_writer(continued(staged))


async def test_deleting_prunes_the_directory_of_the_digest_only(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    key = await push(disk, [b"layer"])
    folder = (operations.root / key).parent
    await disk.delete(key)
    assert not folder.exists()
    assert folder.parent.is_dir()


async def test_publishing_beside_a_deletion_that_prunes(disk: FilesystemBlobStore) -> None:
    """Removing an empty directory may hit between its creation and the rename into it."""

    async def churn(number: int) -> None:
        key = f"blobs/sha256/aa/bb/{number}"
        for _ in range(25):
            await disk.put(key, b"x")
            await disk.delete(key)

    await asyncio.gather(*(churn(number) for number in range(6)))
    assert await keys_of(disk) == []


async def test_a_directory_that_was_removed_by_hand_is_created_again(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    key = await push(disk, [b"layer"])
    await disk.delete(key)
    fan_out = (operations.root / key).parent.parent
    fan_out.rmdir()
    fan_out.parent.rmdir()
    again = await push(disk, [b"layer"])
    assert await read_all(disk, again) == b"layer"


async def test_a_symbolic_link_is_never_followed(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    outside = operations.root.parent / "outside"
    outside.write_bytes(b"secret")
    (operations.root / "uploads" / "abc").symlink_to(outside)
    (operations.root / "blobs" / "x").symlink_to(outside)
    with pytest.raises(StorageUnavailableError):
        await disk.open_writer(type(new_upload())("abc", 1, b"", 0))
    with pytest.raises(StorageUnavailableError):
        await read_all(disk, "blobs/x")
    assert outside.read_bytes() == b"secret"


async def test_nothing_is_readable_for_everybody(
    disk: FilesystemBlobStore, operations: WatchedOperations
) -> None:
    await disk.put("manifests/sha256/aa/bb/1", b"x")
    await push(disk, [b"layer"])
    modes = {path: path.stat().st_mode & 0o007 for path in operations.root.rglob("*")}
    assert set(modes.values()) == {0}


async def test_a_key_below_an_object_is_missing(disk: FilesystemBlobStore) -> None:
    await disk.put("journal/a", b"x")
    with pytest.raises(ObjectNotFoundError):
        await disk.stat("journal/a/b")
    await disk.delete("journal/a/b")


async def test_a_closed_store_says_so(disk: FilesystemBlobStore) -> None:
    await disk.aclose()
    with pytest.raises(StorageUnavailableError, match="closed"):
        await disk.stat("blobs/x")


def test_the_kind_of_a_file_system_is_told(tmp_path: Path) -> None:
    assert filesystem_kind(Path("/proc")) == "0x9fa0"
    assert filesystem_kind(Path("/dev/shm")) == "tmpfs"  # noqa: S108  # examined, not written to
    assert filesystem_kind(tmp_path) not in UNSUITABLE_KINDS
    with pytest.raises(FileNotFoundError):
        filesystem_kind(tmp_path / "none")


async def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(_: Path) -> str:
        return "nfs"

    monkeypatch.setattr("entrepot.blobstore.filesystem.volume.filesystem_kind", pretend)
    store = FilesystemBlobStore(tmp_path / "store")
    with pytest.raises(StorageUnavailableError, match="nfs"):
        await store.prepare()
    await store.aclose()


async def test_a_cancelled_write_never_hits_a_closed_descriptor(disk: FilesystemBlobStore) -> None:
    """A cancelled request closes its writer while the disk still works for it."""
    for _ in range(20):
        upload = new_upload()
        writer = await disk.open_writer(upload)
        writing = asyncio.create_task(writer.write([data_of(4 * MIB)]))
        await asyncio.sleep(0.0005)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await writer.close()
        await disk.discard(upload)
    assert await keys_of(disk) == []


async def test_a_short_range_is_the_same_from_memory_and_from_the_disk(tmp_path: Path) -> None:
    """What the kernel has dropped is read by a thread: nothing of it is missing and nothing is there twice."""
    store = FilesystemBlobStore(tmp_path / "store")
    await store.prepare()
    data = bytes(range(251)) * 50
    await store.put("blobs/short", data)
    path = store.local_path("blobs/short")
    ranges = [(0, 1), (0, len(data)), (0, len(data) + 1), (4096, 8192), (len(data) - 1, len(data) + 5)]

    async def read_all_ranges() -> list[bytes]:
        return [
            b"".join([chunk async for chunk in store.read("blobs/short", start, end)])
            for start, end in ranges
        ]

    cached = await read_all_ranges()
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)  # what is not on the disk yet is never dropped
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    dropped = await read_all_ranges()

    assert cached == dropped == [data[start:end] for start, end in ranges]
    await store.aclose()


@pytest.mark.parametrize("end", [10, 200_000])
async def test_what_is_not_there_is_not_found_by_short_reads_and_by_long_ones(
    tmp_path: Path, end: int
) -> None:
    store = FilesystemBlobStore(tmp_path / "store")
    await store.prepare()

    with pytest.raises(ObjectNotFoundError):
        _ = [chunk async for chunk in store.read("blobs/none", 0, end)]
    await store.aclose()
