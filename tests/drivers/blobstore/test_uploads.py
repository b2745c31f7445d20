"""Staged uploads: the same on every driver."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.driver import MultipartUploads
from entrepot.blobstore.errors import ObjectNotFoundError, StorageUnavailableError, UploadLostError
from entrepot.blobstore.keys import stored_key_of, upload_of
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

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore, UploadReference

PART = 5 * MIB
BOUNDARY_SIZES = [0, 1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1]


@pytest.mark.parametrize("size", BOUNDARY_SIZES)
async def test_what_is_published_is_what_was_written(store: BlobStore, size: int) -> None:
    data = data_of(size)
    key = await push(store, [data])
    assert await store.stat(key) == size
    assert await read_all(store, key) == data


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1])
async def test_publishing_needs_no_checkpoint(store: BlobStore, size: int) -> None:
    data = data_of(size)
    writer = await store.open_writer(new_upload())
    await writer.write([data[:7], b"", data[7:]])
    assert writer.offset == size
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert await read_all(store, key) == data


@pytest.mark.parametrize("sizes", [(PART - 1, 1), (1, PART), (PART, PART, 1), (3 * MIB,) * 4, (0, 5, 0, 7)])
async def test_an_upload_goes_on_over_several_requests(store: BlobStore, sizes: tuple[int, ...]) -> None:
    pieces = [data_of(size, seed) for seed, size in enumerate(sizes)]
    assert await read_all(store, await push(store, pieces)) == b"".join(pieces)


async def test_a_large_stream_in_small_chunks(store: BlobStore) -> None:
    data = data_of(12 * MIB + 3)
    writer = await store.open_writer(new_upload())
    for start in range(0, len(data), 640 * 1024):
        step = data[start : start + 640 * 1024]
        await writer.write([step[offset : offset + 311] for offset in range(0, len(step), 311)])
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert await read_all(store, key) == data


async def test_one_chunk_larger_than_two_parts(store: BlobStore) -> None:
    data = data_of(11 * MIB)
    writer = await store.open_writer(new_upload())
    await writer.write([data])
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert await read_all(store, key) == data


@pytest.mark.parametrize("kept", [0, 1, 3 * MIB, PART, PART + 5])
async def test_bytes_after_the_recorded_offset_vanish(store: BlobStore, kept: int) -> None:
    first = await stage(store, new_upload(), data_of(kept, 1))
    await stage(store, continued(first), data_of(7 * MIB, 2))
    key = await push(store, [data_of(100, 3)], replace(first, fence=first.fence + 2))
    digest_of_rest = data_of(kept, 1) + data_of(100, 3)
    assert await read_all(store, key) == digest_of_rest


async def test_bytes_that_were_never_checkpointed_vanish(store: BlobStore) -> None:
    first = await stage(store, new_upload(), b"kept")
    writer = await store.open_writer(continued(first))
    await writer.write([data_of(6 * MIB)])
    await writer.close()
    again = await store.open_writer(replace(first, fence=3))
    assert again.offset == 4
    key = await again.publish(Digest.of_bytes(b"kept"))
    await again.close()
    assert await read_all(store, key) == b"kept"


@pytest.mark.parametrize("size", [0, 10, PART + 1])
async def test_sealed_bytes_can_be_read_before_they_are_published(store: BlobStore, size: int) -> None:
    data = data_of(size)
    writer = await store.open_writer(continued(await stage(store, new_upload(), data)))
    sealed = await writer.seal()
    assert await writer.seal() == sealed
    assert await read_all(store, sealed) == data
    with pytest.raises(StorageUnavailableError):
        await writer.write([b"more"])
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert await read_all(store, key) == data


async def test_the_published_key_is_the_listed_one(store: BlobStore) -> None:
    keys = [await push(store, [data_of(size)]) for size in (3, PART + 3)]
    assert await keys_of(store, "blobs/") == sorted(keys)


async def test_a_published_upload_leaves_nothing_staged(store: BlobStore) -> None:
    await push(store, [data_of(PART + 5), data_of(MIB), data_of(7)])
    assert await keys_of(store, "uploads/") == []


async def test_two_uploads_of_one_digest_get_two_keys(store: BlobStore) -> None:
    first, second = await push(store, [b"same"]), await push(store, [b"same"])
    assert first != second
    assert await read_all(store, first) == await read_all(store, second) == b"same"


async def test_an_upload_whose_bytes_are_gone_is_lost(store: BlobStore) -> None:
    for size in (10, PART + 10):
        staged = await stage(store, new_upload(), data_of(size))
        await store.discard(staged)
        with pytest.raises(UploadLostError) as raised:
            await store.open_writer(continued(staged))
        assert raised.value.upload_id == staged.upload_id
    assert await keys_of(store) == []


async def test_an_upload_with_too_few_bytes_is_lost(store: BlobStore) -> None:
    staged = await stage(store, new_upload(), b"12345")
    with pytest.raises(UploadLostError):
        await store.open_writer(replace(staged, offset=6))


async def test_discarding_tolerates_anything_that_is_missing(store: BlobStore) -> None:
    await store.discard(new_upload())
    staged = await stage(store, new_upload(), data_of(PART + 1))
    await store.discard(staged)
    await store.discard(staged)
    assert await keys_of(store) == []


async def test_discarding_a_sealed_upload_removes_its_bytes(store: BlobStore) -> None:
    staged = continued(await stage(store, new_upload(), data_of(PART + 1)))
    writer = await store.open_writer(staged)
    sealed = await writer.seal()
    await writer.close()
    await store.discard(staged)
    assert await keys_of(store) == []
    with pytest.raises(ObjectNotFoundError):
        await store.stat(sealed)


async def test_discarding_late_leaves_the_published_blob_alone(store: BlobStore) -> None:
    upload = new_upload()
    key = await push(store, [b"layer"], upload)
    await store.discard(upload)
    assert await read_all(store, key) == b"layer"


async def test_an_upload_may_begin_again_from_nothing(store: BlobStore) -> None:
    upload = new_upload()
    await stage(store, upload, data_of(PART + 1, 1))
    key = await push(store, [b"second try"], continued(upload))
    assert await read_all(store, key) == b"second try"


async def test_a_closed_writer_takes_nothing_and_closes_again(store: BlobStore) -> None:
    writer = await store.open_writer(new_upload())
    await writer.close()
    await writer.close()
    with pytest.raises(StorageUnavailableError):
        await writer.write([b"x"])
    with pytest.raises(StorageUnavailableError):
        await writer.publish(Digest.of_bytes(b""))


async def test_checkpointing_twice_changes_nothing(store: BlobStore) -> None:
    upload = new_upload()
    writer = await store.open_writer(upload)
    await writer.write([b"abc"])
    assert await writer.checkpoint() == await writer.checkpoint()
    await writer.write([b"def"])
    state = await writer.checkpoint()
    await writer.close()
    key = await push(store, [b"ghi"], replace(upload, state=state, offset=6, fence=2))
    assert await read_all(store, key) == b"abcdefghi"


async def test_f1_a_published_upload_can_be_found_again(store: BlobStore) -> None:
    """Its publisher died before any row named the blob: upload and digest lead to it (F1)."""
    for data in (b"layer", data_of(PART + 5)):
        staged = continued(await stage(store, new_upload(), data))
        digest = Digest.of_bytes(data)
        key = await _publish(store, staged, digest)

        found = await store.find_published(staged.upload_id, digest)
        assert found is not None
        assert (found.key, found.size_bytes) == (key, len(data))
        assert await store.find_published(staged.upload_id, Digest.of_bytes(b"other")) is None
        assert await store.find_published(new_upload().upload_id, digest) is None


async def _publish(store: BlobStore, upload: UploadReference, digest: Digest) -> str:
    writer = await store.open_writer(upload)
    try:
        return await writer.publish(digest)
    finally:
        await writer.close()


async def test_i8_parts_of_unfinished_uploads_are_listed_and_dropped(store: BlobStore) -> None:
    """What no listing of objects shows, where a driver has such things (I8)."""
    if not isinstance(store, MultipartUploads):
        return
    uploads = [await stage(store, new_upload(), data_of(PART + 1)) for _ in range(3)]
    await stage(store, new_upload(), b"too small for parts")
    ids = sorted(upload.upload_id for upload in uploads)
    assert sorted([one async for one in store.list_unfinished()]) == ids

    await store.abort_unfinished(ids[0])
    await store.abort_unfinished(ids[0])

    assert sorted([one async for one in store.list_unfinished()]) == ids[1:]


async def test_every_key_tells_its_upload_and_the_key_of_its_row(store: BlobStore) -> None:
    """Staged bytes, blobs and markers name the upload; a marker stands for its blob."""
    staged = await stage(store, new_upload(), b"staged")
    upload = new_upload()
    key = await push(store, [data_of(PART + 1)], upload)

    owners = {upload_of(found) for found in await keys_of(store)}
    rows = {stored_key_of(found) for found in await keys_of(store) if upload_of(found) == upload.upload_id}

    assert owners == {staged.upload_id, upload.upload_id}
    assert rows == {key}
