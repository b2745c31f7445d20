"""Ends upload sessions whose clients never came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.blobstore.driver import UploadReference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import ExpiredUpload
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.registry.staged_uploads import StagedUploads

__all__ = ["UploadExpiry"]

_log: Any = structlog.get_logger()

_BATCH: Final = 200


class UploadExpiry:
    """Removes sessions past their time: rows first, so that no late request can use the bytes, then the bytes.

    A session's time runs from the last bytes that were recorded for it. One that a request holds is left alone. What a
    crash between the two steps leaves, or a store that fails, is found by the sweep of orphans.
    """

    def __init__(self, metadata: Metadata, staged: StagedUploads) -> None:
        self._metadata = metadata
        self._staged = staged

    async def run(self) -> int:
        """Remove what is past its time now; return how many sessions that were."""
        total = 0
        while expired := await self._remove_rows():
            for upload in expired:
                await self._staged.discard(
                    UploadReference(upload.public_id, upload.fence, upload.state, upload.offset)
                )
            total += len(expired)
            _log.info("upload.expired", sessions=len(expired), bytes=sum(one.offset for one in expired))
            if len(expired) < _BATCH:
                break
        return total

    async def _remove_rows(self) -> Sequence[ExpiredUpload]:
        async def unit(tx: Transaction) -> Sequence[ExpiredUpload]:
            return await tx.upload_sessions.remove_expired(_BATCH)

        return await self._metadata.write(unit)
