"""Finding sound bytes in another store, whichever layout it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.blobstore.keys import flat_blob_key, index_marker_key, manifest_key, nested_blob_key
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.lifecycle.recovery import StoreRecovery
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CONTENT = b"some layer"
_DIGEST = Digest.of_bytes(_CONTENT)


async def _read(chunks: AsyncIterator[bytes] | None) -> bytes | None:
    return None if chunks is None else b"".join([chunk async for chunk in chunks])


async def test_a_disks_layout_is_asked_by_digest() -> None:
    """A copy that was cut short is passed over."""
    store = MemoryBlobStore()
    await store.put(nested_blob_key(_DIGEST, "a"), _CONTENT[:-1])
    await store.put(nested_blob_key(_DIGEST, "b"), _CONTENT)

    assert await _read(await StoreRecovery("x", store).open(_DIGEST, len(_CONTENT))) == _CONTENT


async def test_a_buckets_layout_is_asked_by_its_markers() -> None:
    """The marker names the digest; one whose blob is gone or short leads nowhere."""
    store = MemoryBlobStore()
    key = flat_blob_key("upload", 1, 0)
    await store.put(index_marker_key(key, _DIGEST), b"")
    assert await StoreRecovery("x", store).open(_DIGEST, len(_CONTENT)) is None
    await store.put(key, _CONTENT)

    assert await _read(await StoreRecovery("x", store).open(_DIGEST, len(_CONTENT))) == _CONTENT
    assert await StoreRecovery("x", store).open(_DIGEST, 3) is None


async def test_what_is_not_there_is_not_found() -> None:
    """Neither blobs nor manifests."""
    recovery = StoreRecovery("x", MemoryBlobStore())

    assert await recovery.open(_DIGEST, len(_CONTENT)) is None
    assert await recovery.read_manifest(_DIGEST) is None


async def test_a_manifest_is_taken_only_if_it_hashes_to_its_digest() -> None:
    """The first sound copy wins; a damaged one is passed over."""
    store = MemoryBlobStore()
    await store.put(manifest_key(_DIGEST, "a"), b"damaged")
    await store.put(manifest_key(_DIGEST, "b"), _CONTENT)

    assert await StoreRecovery("x", store).read_manifest(_DIGEST) == _CONTENT
