"""Which blobs lie in a store, by their names, as a listing tells: however the bytes came there, and by which driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.blobstore.driver import StoredObject
from entrepot.blobstore.keys import BLOBS, INDEX, named_digest_of, stored_key_of

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore
    from entrepot.oci.digest import Digest

__all__ = ["BlobIndex", "index_blobs"]


class BlobIndex:
    """The copies of each blob. It takes some 500 bytes of memory per blob."""

    def __init__(self) -> None:
        self._copies: dict[str, list[StoredObject]] = {}
        self.nameless: dict[str, int] = {}
        """Keys and sizes of objects in a bucket that got no marker: those of an upload that was not finished."""

    def __len__(self) -> int:
        return len(self._copies)

    def add(self, name: str, found: StoredObject) -> None:
        """Count one more copy."""
        self._copies.setdefault(name, []).append(found)

    def copies(self, name: Digest, size_bytes: int) -> list[str]:
        """Return the keys of all copies of the right size."""
        return [found.key for found in self._copies.get(str(name), ()) if found.size_bytes == size_bytes]

    def names(self) -> dict[str, list[StoredObject]]:
        """Return everything, by name."""
        return self._copies


async def index_blobs(store: BlobStore) -> BlobIndex:
    """List all blobs. Objects of an upload that was not finished have no name and are left out.

    Raises:
        BlobStoreError: the store can't be listed.
    """
    index = BlobIndex()
    flat: dict[str, int] = {}
    async for found in store.list_objects(BLOBS):
        name = named_digest_of(found.key)
        if name is None:
            flat[found.key] = found.size_bytes
        else:
            index.add(name, found)
    async for marker in store.list_objects(INDEX):
        name, key = named_digest_of(marker.key), stored_key_of(marker.key)
        if name is not None and key in flat:
            index.add(name, StoredObject(key, flat.pop(key)))
    index.nameless = flat
    return index
