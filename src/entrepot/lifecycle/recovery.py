"""Where sound bytes may come from when the store's own are damaged: another store, a backup, another registry.

A source is believed nothing: what it gives is hashed before it takes anybody's place.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Protocol, cast, runtime_checkable

from entrepot.blobstore.errors import BlobStoreError
from entrepot.blobstore.keys import BLOBS, INDEX, MANIFESTS, stored_key_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from entrepot.blobstore.driver import BlobStore, StoredObject
    from entrepot.oci.digest import Digest

__all__ = ["BlobRecovery", "ManifestRecovery", "StoreRecovery"]

_MOST_MANIFEST_BYTES: Final = 4 * 1024 * 1024


class BlobRecovery(Protocol):
    """A place that may have a blob. Calls may run at the same time."""

    @property
    def name(self) -> str:
        """What people know it by, without secrets."""
        ...

    async def open(self, digest: Digest, size_bytes: int) -> AsyncIterator[bytes] | None:
        """Return the bytes of a blob in chunks of any size, `None` when it is not there.

        An iterator that is an asynchronous generator is closed by whoever reads it, at its end or before.

        Raises:
            EntrepotError: the place can't be asked. Also while the bytes are read.
        """
        ...


@runtime_checkable
class ManifestRecovery(Protocol):
    """A place that may have the bytes of manifests, too."""

    async def read_manifest(self, digest: Digest) -> bytes | None:
        """Return the bytes of a manifest, `None` when it is not there.

        Raises:
            EntrepotError: the place can't be asked.
        """
        ...


class StoreRecovery:
    """Another Entrepot blob store of either layout, found by its keys; nothing is written to it.

    On a disk a digest is part of the key. In a bucket it is the end of a marker's name, so the first question lists the
    markers once and remembers them, which takes about 300 bytes of memory for each blob.
    """

    def __init__(self, name: str, store: BlobStore) -> None:
        """Take an open store; whoever opened it closes it."""
        self._name = name
        self._store = store
        self._markers: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """Where the store is."""
        return self._name

    async def open(self, digest: Digest, size_bytes: int) -> AsyncIterator[bytes] | None:
        """Return the bytes of the first copy that is as long as it should be."""
        prefix = f"{BLOBS}{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/"
        async with aclosing(_listed(self._store, prefix)) as copies:
            async for copy in copies:
                if copy.size_bytes == size_bytes:
                    return self._store.read(copy.key)
        key = (await self._marked()).get(f"{digest.algorithm}.{digest.hex}")
        if key is None:
            return None
        try:
            return self._store.read(key) if await self._store.stat(key) == size_bytes else None
        except BlobStoreError:
            return None

    async def read_manifest(self, digest: Digest) -> bytes | None:
        """Return the first copy that hashes to the digest."""
        prefix = f"{MANIFESTS}{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/"
        async with aclosing(_listed(self._store, prefix)) as copies:
            async for copy in copies:
                if copy.size_bytes > _MOST_MANIFEST_BYTES:
                    continue
                body = b"".join([chunk async for chunk in self._store.read(copy.key)])
                if type(digest).of_bytes(body, digest.algorithm) == digest:
                    return body
        return None

    async def _marked(self) -> dict[str, str]:
        if self._markers is None:
            found: dict[str, str] = {}
            async with aclosing(_listed(self._store, INDEX)) as markers:
                async for marker in markers:
                    found[marker.key.partition(".")[2]] = stored_key_of(marker.key)
            self._markers = found
        return self._markers


def _listed(store: BlobStore, prefix: str) -> AsyncGenerator[StoredObject, Any]:
    return cast("AsyncGenerator[StoredObject, Any]", store.list_objects(prefix))
