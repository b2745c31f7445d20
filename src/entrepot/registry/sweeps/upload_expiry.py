"""Ends upload sessions whose clients never came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.blobstore.driver import UploadReference
from entrepot.registry.pushes.leases import LONGEST_LEASE_SECONDS
from entrepot.registry.sweeps.times_ahead import tell_ahead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import ExpiredUpload
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.registry.pushes.staged_uploads import StagedUploads
    from entrepot.registry.sweeps.steady_clock import SteadyClock

__all__ = ["HEALING_SESSION_SECONDS", "UploadExpiry"]

_log: Any = structlog.get_logger()

HEALING_SESSION_SECONDS: Final = 7 * 86400
"""The life of the session that a verification makes for bytes which it brings back, whatever the settings say."""

_BATCH: Final = 200
_MILLISECONDS: Final = 1000


class UploadExpiry:
    """Removes sessions past their time: rows first, so that no late request can use the bytes, then the bytes.

    A session's time runs from the last bytes that were recorded for it. One that a request holds is left alone. What a
    crash between the two steps leaves, or a store that fails, is found by the sweep of orphans. For ten minutes after
    the database's clock was seen to jump, nothing is removed: it may be about to be put right.
    """

    def __init__(
        self, metadata: Metadata, staged: StagedUploads, session_ttl_seconds: int, clock: SteadyClock
    ) -> None:
        """Take the life that a session has after its last bytes, in seconds."""
        self._metadata = metadata
        self._staged = staged
        self._clock = clock
        self._longest_life_seconds = max(session_ttl_seconds, HEALING_SESSION_SECONDS)

    async def run(self) -> int:
        """Remove what is past its time now; return how many sessions that were."""
        await self._put_right()
        total = 0
        while not await self._clock_has_jumped() and (expired := await self._remove_rows()):
            for upload in expired:
                await self._staged.discard(
                    UploadReference(upload.public_id, upload.fence, upload.state, upload.offset)
                )
            total += len(expired)
            _log.info("upload.expired", sessions=len(expired), bytes=sum(one.offset for one in expired))
            if len(expired) < _BATCH:
                break
        return total

    async def _put_right(self) -> None:
        """Shorten leases and lives that a clock which was ahead has left for years (F27).

        This is done here, and not where a request finds a session held: that would cost the request a statement. And
        by a steady clock only: shortened by one that is behind, an upload would be over once that is right again.
        """
        found = await self._metadata.upload_sessions.furthest()
        lease = found.lease if found.lease > LONGEST_LEASE_SECONDS * _MILLISECONDS else 0
        end = found.end if found.end > self._longest_life_seconds * _MILLISECONDS else 0
        if not lease and not end:
            return
        await self._clock.look(self._metadata)
        if not self._clock.is_steady:
            return
        longest = self._longest_life_seconds

        async def unit(tx: Transaction) -> None:
            await tx.upload_sessions.shorten(LONGEST_LEASE_SECONDS, longest)

        await self._metadata.write(unit)
        tell_ahead("lease of an upload", lease)
        tell_ahead("end of an unfinished upload", end)

    async def _clock_has_jumped(self) -> bool:
        await self._clock.look(self._metadata)
        return self._clock.has_jumped

    async def _remove_rows(self) -> Sequence[ExpiredUpload]:
        async def unit(tx: Transaction) -> Sequence[ExpiredUpload]:
            return await tx.upload_sessions.remove_expired(_BATCH)

        return await self._metadata.write(unit)
