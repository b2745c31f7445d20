"""Objects: put, stat, read, delete, list — the same on every driver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.driver import LocalPaths, Presigner, StoredObject
from entrepot.blobstore.errors import InvalidKeyError, ObjectNotFoundError, UploadLostError
from entrepot.blobstore.keys import manifest_key
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.staging import MIB, data_of, keys_of, new_upload, push, read_all

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore

HOSTILE_KEYS = [
    "",
    "/etc/passwd",
    "../x",
    "blobs/../../x",
    "blobs//x",
    "blobs/.",
    "blobs/x/",
    "blobs/\0",
    "a\nb",
    "ü",
]


async def test_what_was_put_is_read_back(store: BlobStore) -> None:
    await store.put("manifests/a", b"bytes of a manifest")
    assert await read_all(store, "manifests/a") == b"bytes of a manifest"
    assert await store.stat("manifests/a") == 19


async def test_an_empty_object_is_an_object(store: BlobStore) -> None:
    await store.put("manifests/empty", b"")
    assert await store.stat("manifests/empty") == 0
    assert await read_all(store, "manifests/empty") == b""
    assert await read_all(store, "manifests/empty", 0, 10) == b""


async def test_putting_the_same_bytes_again_changes_nothing(store: BlobStore) -> None:
    await store.put("manifests/a", b"once")
    await store.put("manifests/a", b"once")
    assert await read_all(store, "manifests/a") == b"once"
    assert await keys_of(store, "manifests/") == ["manifests/a"]


async def test_a_new_object_replaces_nothing(store: BlobStore) -> None:
    """Of two who store something under one key, the second is told, and nothing is left of what it brought."""
    await store.check()
    assert await store.put_new("journal/a", b"first")
    assert not await store.put_new("journal/a", b"second")
    assert await read_all(store, "journal/a") == b"first"
    assert await keys_of(store) == ["journal/a"]


async def test_one_of_many_who_store_a_new_object_at_once_wins(store: BlobStore) -> None:
    """Whoever is told that it succeeded is the one whose bytes are there."""
    await store.check()
    outcomes = await asyncio.gather(*(store.put_new("journal/a", b"%d" % number) for number in range(8)))
    assert [str(number).encode() for number, won in enumerate(outcomes) if won] == [
        await read_all(store, "journal/a")
    ]


async def test_folders_are_named_once_and_not_looked_into(store: BlobStore) -> None:
    """Names up to the next slash, in byte order; an object directly below is none."""
    for key in (
        "journal/b/entries/1",
        "journal/a/entries/1",
        "journal/a/segments/1",
        "journal/c",
        "blobs/x/1",
    ):
        await store.put(key, b"")

    assert await store.list_folders("journal/") == ["a", "b"]
    assert await store.list_folders("journal/a/") == ["entries", "segments"]
    assert await store.list_folders("manifests/") == []


async def test_a_listing_that_begins_late_leaves_out_what_is_before(store: BlobStore) -> None:
    """Also where names begin alike, and where the key to begin after lies in a folder or is none."""
    keys = [f"journal/a/segments/{name}" for name in ("1", "10", "11", "2", "20")]
    for key in (*keys, "journal/a2/segments/1"):
        await store.put(key, b"")

    for start, expected in (("1", keys[1:]), ("10", keys[2:]), ("15", keys[3:]), ("2", keys[4:]), ("3", [])):
        found = store.list_objects("journal/a/", f"journal/a/segments/{start}")
        assert [one.key async for one in found] == expected
    later = [one.key async for one in store.list_objects("journal/", "journal/a/segments/20")]
    assert later == ["journal/a2/segments/1"]


async def test_a_missing_object_is_reported_before_the_first_chunk(store: BlobStore) -> None:
    with pytest.raises(ObjectNotFoundError) as raised:
        await store.stat("blobs/none")
    assert raised.value.key == "blobs/none"
    for start, end in ((0, None), (5, None), (0, 10), (3, 3)):
        with pytest.raises(ObjectNotFoundError):
            await read_all(store, "blobs/none", start, end)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, None),
        (1, None),
        (0, 1),
        (99, 100),
        (0, MIB),
        (MIB - 1, MIB + 1),
        (2 * MIB, None),
        (5, 5),
        (2 * MIB + 7, None),
    ],
)
async def test_a_range_is_the_slice_of_the_object(store: BlobStore, start: int, end: int | None) -> None:
    data = data_of(2 * MIB + 7)
    await store.put("manifests/a", data)
    assert await read_all(store, "manifests/a", start, end) == data[start:end]


async def test_a_range_is_cut_at_the_end_of_the_object(store: BlobStore) -> None:
    await store.put("manifests/a", b"0123456789")
    assert await read_all(store, "manifests/a", 8, 100) == b"89"
    assert await read_all(store, "manifests/a", 10, 20) == b""
    assert await read_all(store, "manifests/a", 50, None) == b""


async def test_chunks_are_never_larger_than_a_mebibyte(store: BlobStore) -> None:
    await store.put("manifests/a", data_of(3 * MIB + 1))
    sizes = [len(chunk) async for chunk in store.read("manifests/a")]
    assert max(sizes) <= MIB
    assert min(sizes) >= 1


async def test_a_reader_may_stop_early(store: BlobStore) -> None:
    await store.put("manifests/a", data_of(3 * MIB))
    stream = store.read("manifests/a")
    first = await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # the protocol promises an iterator, every driver a generator
    assert first == data_of(3 * MIB)[: len(first)]
    assert await read_all(store, "manifests/a") == data_of(3 * MIB)


async def test_delete_removes_and_tolerates_missing_objects(store: BlobStore) -> None:
    key = manifest_key(Digest.of_bytes(b"x"), "1")
    await store.put(key, b"x")
    await store.delete(key)
    await store.delete(key)
    assert await keys_of(store) == []
    with pytest.raises(ObjectNotFoundError):
        await store.stat(key)


async def test_deleting_one_copy_leaves_the_other(store: BlobStore) -> None:
    one, other = await push(store, [b"same layer"]), await push(store, [b"same layer"])
    await store.delete(one)
    assert await read_all(store, other) == b"same layer"
    assert [key for key in await keys_of(store, "blobs/") if key == one] == []


async def test_deleting_a_blob_takes_its_marker_along(store: BlobStore) -> None:
    key = await push(store, [b"layer"])
    await store.delete(key)
    assert await keys_of(store) == []


@pytest.mark.parametrize("key", HOSTILE_KEYS)
async def test_s34_a_key_that_leads_elsewhere_is_refused(store: BlobStore, key: str) -> None:
    with pytest.raises(InvalidKeyError):
        await store.put(key, b"x")
    with pytest.raises(InvalidKeyError):
        await store.stat(key)
    with pytest.raises(InvalidKeyError):
        await store.delete(key)
    with pytest.raises(InvalidKeyError):
        await read_all(store, key)
    if isinstance(store, LocalPaths):
        with pytest.raises(InvalidKeyError):
            store.local_path(key)
    if isinstance(store, Presigner):
        with pytest.raises(InvalidKeyError):
            await store.presign_read(key, 60)


@pytest.mark.parametrize("upload_id", ["", "../x", "a/b", ".", "a.b", "x\0"])
async def test_s34_an_upload_id_that_leads_elsewhere_is_refused(store: BlobStore, upload_id: str) -> None:
    upload = type(new_upload())(upload_id, 1, b"", 0)
    with pytest.raises(InvalidKeyError):
        await store.open_writer(upload)
    with pytest.raises(InvalidKeyError):
        await store.discard(upload)


async def test_a_listing_is_in_byte_order_with_sizes(store: BlobStore) -> None:
    names = [
        f"manifests/sha256/{folder}/{number:020d}" for folder in ("0a", "b", "0b") for number in (2, 10, 1)
    ]
    for name in names:
        await store.put(name, name[-2:].encode())
    await store.put("journal/entries", b"")
    expected = [StoredObject(name, 2) for name in sorted(names)]
    assert [found async for found in store.list_objects("manifests/")] == expected


async def test_a_listing_sorts_a_directory_by_its_name_with_the_slash(locking_store: BlobStore) -> None:
    store = locking_store
    for key in ("journal/b", "journal/a/2", "journal/a/1", "journal/a-b", "journal/B", "manifests/z"):
        await store.put(key, key.encode())
    expected = sorted(["journal/b", "journal/a/2", "journal/a/1", "journal/a-b", "journal/B"])
    assert [found async for found in store.list_objects("journal/")] == [
        StoredObject(key, len(key)) for key in expected
    ]


async def test_a_listing_begins_after_a_key(store: BlobStore) -> None:
    names = [f"journal/{folder}/{number}" for folder in ("a", "b") for number in range(3)]
    for name in names:
        await store.put(name, b"")
    for start in [*names, "journal/a/1x", "journal/a/zz", "journal/zz"]:
        assert await keys_of(store, "journal/", start) == [name for name in names if name > start]


async def test_a_listing_begins_after_any_text(locking_store: BlobStore) -> None:
    store = locking_store
    names = [f"journal/{folder}/{number}" for folder in ("a", "b") for number in range(3)]
    for name in names:
        await store.put(name, b"")
    for start in [*names, "journal/a", "journal/a/", "journal", "journal/a-"]:
        assert await keys_of(store, "journal/", start) == [name for name in names if name > start]


async def test_a_listing_takes_any_prefix(store: BlobStore) -> None:
    for name in ("journal/abb", "journal/abc", "journal/b", "journal/ab/c"):
        await store.put(name, b"")
    assert await keys_of(store, "journal/ab") == ["journal/ab/c", "journal/abb", "journal/abc"]
    assert await keys_of(store, "journal/ab/") == ["journal/ab/c"]
    assert await keys_of(store, "journal/none") == []
    assert await keys_of(store, "nothing/here/") == []


async def test_check_leaves_nothing_behind(store: BlobStore) -> None:
    await store.check()
    assert await keys_of(store) == []


async def test_capacity_is_plausible_where_it_is_told(store: BlobStore) -> None:
    capacity = await store.capacity()
    if capacity is not None:
        assert 0 <= capacity.available_bytes <= capacity.total_bytes
        assert 0 <= capacity.used_bytes <= capacity.total_bytes


async def test_closing_twice_is_fine(store: BlobStore) -> None:
    await store.aclose()
    await store.aclose()


async def test_a_state_that_nobody_wrote_means_a_lost_upload(store: BlobStore) -> None:
    upload = type(new_upload())("abc", 2, b'{"key": 5}', 10)
    with pytest.raises(UploadLostError):
        await store.open_writer(upload)
