"""Gives leases back; what the database doesn't take is tried again beside requests, until it does (F13, F30).

A client whose request failed with the database comes again a second later. Nobody else writes to its upload by then, so
it must not wait for the lease to run out only because the database was away at the moment that it was given back.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.metadata.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.metadata.records import UploadLease
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["LeaseReleases"]

_MAX_OWED: Final = 8192
"""Some 300 bytes each. More than the requests that one process can have under way; beyond it the oldest is let go."""
_BATCH: Final = 100
"""Releases in one unit, so that it stays short."""
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 1.0
"""What clients are told to wait (`Retry-After`), on other nodes too."""
_LAST_TRY_SECONDS: Final = 2.0

_log: Any = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Owed:
    """A lease to be given back: its fence, and when it has ended by itself, by the monotonic clock."""

    fence: int
    ended_at: float


class LeaseReleases:
    """What one process owes. Belongs to one event loop.

    A release names the fence of its own lease: once somebody else holds the upload, it changes nothing.
    """

    def __init__(self, metadata: Metadata, lease_seconds: float) -> None:
        self._metadata = metadata
        self._lease_seconds = lease_seconds
        self._owed: OrderedDict[str, _Owed] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._last_try: asyncio.Task[None] | None = None  # the event loop alone would not keep it

    async def release(self, lease: UploadLease) -> None:
        """Give a lease back, later when the database can't take it now."""
        # The last renewal came before, so that the lease ends no later by itself than one length from here.
        owed = _Owed(lease.fence, monotonic() + self._lease_seconds)
        try:
            await self._write({lease.public_id: owed})
        except MetadataError as error:
            self._owe(lease.public_id, owed, str(error))
        except asyncio.CancelledError:
            self._owe(lease.public_id, owed, "its request was ended")
            raise

    def owe(self, lease: UploadLease, reason: str) -> None:
        """Have a lease given back soon, since the database is known to take nothing at this moment."""
        self._owe(lease.public_id, _Owed(lease.fence, monotonic() + self._lease_seconds), reason)

    def owed_fence(self, session: str) -> int | None:
        """Return the fence of a lease that is still to be given back, for whoever wants the next one."""
        owed = self._owed.get(session)
        return None if owed is None else owed.fence

    def settle(self, session: str, fence: int) -> None:
        """Take note that a lease was given back by somebody else."""
        owed = self._owed.get(session)
        if owed is not None and owed.fence == fence:
            del self._owed[session]

    async def aclose(self) -> None:
        """Stop, after a last try that is waited for two seconds at most. May be called again.

        A unit under way is seen through, however long the database lets it wait, so it goes on by itself then.
        """
        former, self._task = self._task, None
        if former is not None:
            former.cancel()
        self._last_try = asyncio.create_task(self._try_a_last_time(former), name="last-lease-releases")
        done, _ = await asyncio.wait((self._last_try,), timeout=_LAST_TRY_SECONDS)
        if done:
            self._last_try.result()
        else:
            self._last_try.cancel()
        self._owed.clear()

    async def _try_a_last_time(self, former: asyncio.Task[None] | None) -> None:
        if former is not None:
            await asyncio.wait((former,))
        while self._owed and await self._give_back_some():
            pass

    def _owe(self, session: str, owed: _Owed, reason: str) -> None:
        self._owed[session] = owed
        self._owed.move_to_end(session)
        if len(self._owed) > _MAX_OWED:
            self._owed.popitem(last=False)
        if self._task is None or self._task.done():
            _log.warning("leases.release.postponed", reason=reason)
            self._task = asyncio.create_task(self._give_back(), name="lease-releases")

    async def _give_back(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while self._owed:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            taken = await self._give_back_some()
            pause = _FIRST_PAUSE_SECONDS if taken else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self._forget_ended()

    async def _give_back_some(self) -> bool:
        """Give back the oldest leases; tell whether the database took them."""
        batch = dict(islice(self._owed.items(), _BATCH))
        try:
            await self._write(batch)
        except MetadataError:
            return False
        for session, owed in batch.items():
            self.settle(session, owed.fence)
        return True

    async def _write(self, batch: Mapping[str, _Owed]) -> None:
        async def unit(tx: Transaction) -> None:
            # In one order everywhere, or two such units could wait for each other's rows.
            for session in sorted(batch):
                await tx.upload_sessions.release(session, batch[session].fence)

        await self._metadata.write(unit)

    def _forget_ended(self) -> None:
        now = monotonic()
        for session in [session for session, owed in self._owed.items() if owed.ended_at <= now]:
            del self._owed[session]
