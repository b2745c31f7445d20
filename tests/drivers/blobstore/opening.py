"""Says which store to open, so that a second process can open the same one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from entrepot.blobstore.filesystem import FilesystemBlobStore
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.blobstore.s3 import S3BlobStore, S3Options

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore

__all__ = ["StoreAddress", "open_store"]


class StoreAddress(msgspec.Struct, frozen=True):
    """Where a store is: a directory, a bucket, or nowhere but in memory."""

    root: str = ""
    s3: S3Options | None = None


async def open_store(address: StoreAddress, sdk_session: object | None = None) -> BlobStore:
    """Open the store at `address`; see :class:`S3BlobStore` for the session."""
    if address.s3 is not None:
        return S3BlobStore(address.s3, sdk_session=sdk_session)
    if address.root:
        store = FilesystemBlobStore(Path(address.root))
        await store.prepare()
        return store
    return MemoryBlobStore()
