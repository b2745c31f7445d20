"""Opens other places that sound bytes may be taken from."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.bootstrap.stores import s3_options
from entrepot.settings import DirectoryAddress, Settings, parse_store_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.blobstore.driver import BlobStore
    from entrepot.lifecycle.recovery import BlobRecovery

__all__ = ["open_recovery"]


@contextlib.asynccontextmanager
async def open_recovery(settings: Settings, address: str) -> AsyncIterator[BlobRecovery]:
    """Open another blob store to take sound bytes from; a bucket with the endpoint and key of `storage.s3`.

    Raises:
        ValueError: `address` is none.
        BlobStoreError: there is no such store.
    """
    from entrepot.lifecycle.recovery import StoreRecovery  # noqa: PLC0415  # no process that serves needs it

    parsed = parse_store_address(address)
    if isinstance(parsed, DirectoryAddress):
        store: BlobStore = FilesystemBlobStore(parsed.path)
        if not await asyncio.to_thread(parsed.path.is_dir):
            raise StorageUnavailableError(f"there is no directory {parsed.path}")
    else:
        from entrepot.blobstore.s3.store import S3BlobStore  # noqa: PLC0415  # loads the SDK; only where it is used

        store = S3BlobStore(replace(s3_options(settings), bucket=parsed.bucket, prefix=parsed.prefix))
    try:
        yield StoreRecovery(address, store)
    finally:
        await store.aclose()
