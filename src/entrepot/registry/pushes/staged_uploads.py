"""The staged bytes of a leased session: held while they grow, given up together with the session's row."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import BlobStoreError, UploadBusyError
from entrepot.registry.errors import UploadConflictError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.blobstore.driver import BlobStore, BlobWriter
    from entrepot.metadata.records import UploadLease
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["StagedUploads"]

_log: Any = structlog.get_logger()


class StagedUploads:
    """Opens and gives up what leases stand for. The row goes first: without it nobody can make the bytes a blob."""

    def __init__(self, metadata: Metadata, blobs: BlobStore) -> None:
        self._metadata = metadata
        self._blobs = blobs

    @contextlib.asynccontextmanager
    async def hold(self, lease: UploadLease) -> AsyncIterator[BlobWriter]:
        """Open the staged bytes for writing, cut back to the lease's offset, and let go of them at the end.

        Raises:
            UploadConflictError: a former holder still has them.
            UploadLostError: they are gone.
        """
        try:
            writer = await self._blobs.open_writer(_reference(lease))
        except UploadBusyError as error:
            raise UploadConflictError(lease.public_id) from error
        try:
            yield writer
        finally:
            await writer.close()

    async def abandon(self, lease: UploadLease) -> bool:
        """Remove the session, then its bytes; `False` when the lease was lost, and with it the right to do so."""

        async def unit(tx: Transaction) -> bool:
            return await tx.upload_sessions.remove(lease.public_id, lease.fence)

        if not await self._metadata.write(unit):
            return False
        await self.discard(_reference(lease))
        return True

    async def discard(self, upload: UploadReference) -> bool:
        """Remove bytes whose session is gone already; what can't be removed now is left to the sweep of orphans."""
        try:
            await self._blobs.discard(upload)
        except BlobStoreError as error:
            _log.warning("upload.discard.postponed", upload=upload.upload_id, reason=str(error))
            return False
        return True


def _reference(lease: UploadLease) -> UploadReference:
    return UploadReference(lease.public_id, lease.fence, lease.state, lease.offset)
