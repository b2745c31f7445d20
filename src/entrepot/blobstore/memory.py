"""A store in the memory of one process: the fastest one to run the tests of everything above a driver on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.blobstore.driver import Capacity, StoredObject
from entrepot.blobstore.errors import (
    ObjectNotFoundError,
    StorageFullError,
    StorageUnavailableError,
    UploadBusyError,
    UploadLostError,
)
from entrepot.blobstore.keys import (
    nested_blob_key,
    require_key,
    require_prefix,
    require_upload_id,
    staged_key,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from entrepot.blobstore.driver import UploadReference
    from entrepot.oci.digest import Digest

__all__ = ["MemoryBlobStore"]

_READ_BYTES: Final = 1024 * 1024


class MemoryBlobStore:
    """A :class:`BlobStore` for one event loop; it forgets everything when the process ends."""

    def __init__(self, *, total_bytes: int | None = None) -> None:
        """Hold at most `total_bytes` in staged uploads and objects; any amount when there is no limit."""
        self.total_bytes = total_bytes
        self.objects: dict[str, bytes | bytearray] = {}
        self.held: set[str] = set()

    @property
    def name(self) -> str:
        """The driver's name."""
        return "memory"

    def admit(self, size: int) -> None:
        """Make sure that `size` more bytes fit.

        Raises:
            StorageFullError: they do not.
        """
        if self.total_bytes is not None and self._used_bytes() + size > self.total_bytes:
            raise StorageFullError(f"{size} more bytes would exceed {self.total_bytes}")

    async def put(self, key: str, data: bytes) -> None:
        """Store a small object."""
        self.admit(len(data))
        self.objects[require_key(key)] = bytes(data)

    async def put_new(self, key: str, data: bytes) -> bool:
        """Store a small object where there is none."""
        if require_key(key) in self.objects:
            return False
        await self.put(key, data)
        return True

    async def stat(self, key: str) -> int:
        """Return the size of an object in bytes."""
        return len(self._object(key))

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield a range of an object; a range that reaches beyond the end is cut there."""
        data = self._object(key)
        stop = len(data) if end is None else min(end, len(data))
        for offset in range(start, stop, _READ_BYTES):
            yield bytes(data[offset : min(offset + _READ_BYTES, stop)])

    async def delete(self, key: str) -> None:
        """Remove an object; a staged one only when nobody holds it."""
        if key in self.held:
            raise UploadBusyError(key)
        self.objects.pop(require_key(key), None)

    async def list_objects(self, prefix: str, start_after: str = "") -> AsyncIterator[StoredObject]:
        """Yield objects in byte order."""
        require_prefix(prefix)
        for key in sorted(key for key in self.objects if key.startswith(prefix) and key > start_after):
            data = self.objects.get(key)
            if data is not None:
                yield StoredObject(key, len(data))

    async def list_folders(self, prefix: str) -> Sequence[str]:
        """Return names of folders."""
        require_prefix(prefix)
        below = (key.removeprefix(prefix) for key in self.objects if key.startswith(prefix))
        return sorted({rest.partition("/")[0] for rest in below if "/" in rest})

    async def open_writer(self, upload: UploadReference) -> MemoryWriter:
        """Take the exclusive hold on an upload."""
        key = staged_key(require_upload_id(upload.upload_id))
        if key in self.held:
            raise UploadBusyError(upload.upload_id)
        staged = self.objects.get(key)
        present = 0 if staged is None else len(staged)
        if present < upload.offset:
            raise UploadLostError(upload.upload_id, f"{present} of {upload.offset} bytes are there")
        self.objects[key] = bytearray(staged or b"")[: upload.offset]
        self.held.add(key)
        return MemoryWriter(self, upload.upload_id, key)

    async def discard(self, upload: UploadReference) -> None:
        """Remove the staged bytes."""
        await self.delete(staged_key(require_upload_id(upload.upload_id)))

    async def find_published(self, upload_id: str, digest: Digest) -> StoredObject | None:
        """Return the blob of this upload and digest."""
        key = nested_blob_key(digest, require_upload_id(upload_id))
        data = self.objects.get(key)
        return None if data is None else StoredObject(key, len(data))

    async def check(self) -> None:
        """Memory is always there."""

    async def capacity(self) -> Capacity | None:
        """Return how full the store is, when it has a limit."""
        if self.total_bytes is None:
            return None
        used = self._used_bytes()
        return Capacity(used, self.total_bytes, self.total_bytes - used)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _used_bytes(self) -> int:
        return sum(map(len, self.objects.values()))

    def _object(self, key: str) -> bytes | bytearray:
        try:
            return self.objects[require_key(key)]
        except KeyError as error:
            raise ObjectNotFoundError(key) from error


class MemoryWriter:
    """A :class:`BlobWriter` that appends to a bytearray of its store."""

    def __init__(self, store: MemoryBlobStore, upload_id: str, key: str) -> None:
        self._store = store
        self._upload_id = upload_id
        self._key = key
        self._staged = store.objects[key]
        self._closed = False
        self._sealed = False

    @property
    def offset(self) -> int:
        """Bytes staged so far."""
        return len(self._staged)

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append copies of `chunks`."""
        self._require_open()
        self._store.admit(sum(map(len, chunks)))
        for chunk in chunks:
            self._staged += chunk

    async def checkpoint(self) -> bytes:
        """Memory needs no flush, and the store no state beyond the bytes."""
        self._require_open()
        return b""

    async def seal(self) -> str:
        """Return the key of the staged bytes."""
        self._require_held()
        self._sealed = True
        return self._key

    async def publish(self, digest: Digest) -> str:
        """Move the bytes to the key of a blob."""
        self._require_held()
        self._sealed = True
        if self._store.objects.pop(self._key, None) is not self._staged:
            raise UploadLostError(self._upload_id, "its bytes were removed")
        key = nested_blob_key(digest, self._upload_id)
        self._store.objects[key] = bytes(self._staged)
        return key

    async def close(self) -> None:
        """Give up the hold."""
        if not self._closed:
            self._closed = True
            self._store.held.discard(self._key)

    def _require_held(self) -> None:
        if self._closed:
            raise StorageUnavailableError(f"the writer of the upload {self._upload_id} is closed")

    def _require_open(self) -> None:
        self._require_held()
        if self._sealed:
            raise StorageUnavailableError(f"the upload {self._upload_id} takes no more bytes")
