"""Steps that most tests of a blob store take."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from entrepot.blobstore.driver import UploadReference
from entrepot.kernel.ids import new_public_id
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.blobstore.driver import BlobStore

__all__ = ["MIB", "continued", "data_of", "keys_of", "new_upload", "push", "read_all", "stage"]

MIB = 1024 * 1024


def data_of(size: int, seed: int = 1) -> bytes:
    """Return `size` bytes that repeat nowhere."""
    return random.Random(seed).randbytes(size)


def new_upload() -> UploadReference:
    """Return the reference of an upload that begins."""
    return UploadReference(new_public_id(), 1, b"", 0)


def continued(upload: UploadReference) -> UploadReference:
    """Return the same upload under the next lease."""
    return replace(upload, fence=upload.fence + 1)


async def stage(store: BlobStore, upload: UploadReference, data: bytes, step: int = MIB) -> UploadReference:
    """Append `data` in one request, checkpoint, and return what the session row would hold then."""
    writer = await store.open_writer(upload)
    try:
        for offset in range(0, len(data), step):
            await writer.write([data[offset : offset + step]])
        state = await writer.checkpoint()
        return UploadReference(upload.upload_id, upload.fence, state, writer.offset)
    finally:
        await writer.close()


async def push(store: BlobStore, pieces: Sequence[bytes], upload: UploadReference | None = None) -> str:
    """Append each piece in a request of its own, publish in another one, and return the key."""
    current = upload or new_upload()
    for piece in pieces:
        current = continued(await stage(store, current, piece))
    writer = await store.open_writer(current)
    try:
        return await writer.publish(Digest.of_bytes(b"".join(pieces)))
    finally:
        await writer.close()


async def read_all(store: BlobStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    """Return a range of an object."""
    return b"".join([chunk async for chunk in store.read(key, start, end)])


async def keys_of(store: BlobStore, prefix: str = "", start_after: str = "") -> list[str]:
    """Return the keys a listing shows."""
    return [found.key async for found in store.list_objects(prefix, start_after)]
