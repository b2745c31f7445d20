"""Notices in a process that runs that database and blob store no longer belong together (F47).

A database can be put back under running nodes: an older copy is restored, or a standby takes over that had not received
everything. It gives numbers of facts again that the journal has, and what was pushed in between is lost, so nothing may
be written any more, as at a start. Nothing is asked for this per request: every few seconds two statements tell whether
anything speaks for it, and only then is the store asked.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.registry.store_ownership import Discrepancy, find_discrepancy

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["StoreWatch", "tell_mismatch"]

_log: Any = structlog.get_logger()

_PATIENCE_SECONDS: Final = 15.0
"""Facts get their segment within ten seconds; a worker that found a discrepancy writes none any more."""


def tell_mismatch(found: Discrepancy) -> None:
    """Log why nothing is written."""
    _log.error("database.mismatch", reason=found.reason, remedy=found.remedy)


class StoreWatch:
    """Remembers what a process has seen of its database. Belongs to one event loop.

    What was found is asked for again at each look, and forgotten once everything fits: a volume was mounted again, or
    the database was caught up.
    """

    def __init__(
        self,
        metadata: Metadata,
        blobs: BlobStore,
        on_change: Callable[[Discrepancy | None], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a pair that was found to fit; `on_change` is told what was found, and `None` when all is well again."""
        self._metadata = metadata
        self._blobs = blobs
        self._on_change = on_change
        self._clock = clock
        self._newest = 0
        self._waiting: int | None = None
        self._waiting_since = 0.0
        self._suspicious = False
        self._found: Discrepancy | None = None

    @property
    def found(self) -> Discrepancy | None:
        """Why nothing may be written at present, `None` as long as nothing is known."""
        return self._found

    def suspect(self) -> None:
        """Let the next look ask the store: something was found there that should not be."""
        self._suspicious = True

    async def look(self) -> Discrepancy | None:
        """Ask the database, and where that speaks for it the store, too. For every few seconds.

        Raises:
            MetadataError, BlobStoreError: it can't be told; what was known stays.
        """
        newest = await self._metadata.orphans.last_fact()
        waiting = await self._metadata.outbox.first_unjournalled()
        now = self._clock()
        if waiting is None or waiting != self._waiting:
            self._waiting, self._waiting_since = waiting, now
        is_stuck = now - self._waiting_since >= _PATIENCE_SECONDS
        if self._suspicious or self._found is not None or is_stuck or newest < self._newest:
            await self.ask()
            self._waiting_since = now
        self._newest = max(self._newest, newest)
        return self._found

    async def ask(self, own_segment: str = "") -> Discrepancy | None:
        """Ask both; `own_segment` as of :func:`find_discrepancy`.

        Raises:
            MetadataError, BlobStoreError: it can't be told; what was known stays.
        """
        newest = await self._metadata.orphans.last_fact()
        found = await find_discrepancy(self._metadata, self._blobs, own_segment)
        if found is None and newest < self._newest:
            # Facts are never removed. What the journal has not told of is known by nobody but this process.
            reason = f"this database's newest fact is {newest}, and was {self._newest} a moment ago"
            remedy = (
                "run entrepot rebuild --catch-up, then start every node again; what the journal does not tell of has "
                "to be pushed again"
            )
            found = Discrepancy(reason, remedy, "its database is an older copy of what it was")
        self._suspicious = False
        self._newest = max(self._newest, newest)
        if found != self._found:
            self._found = found
            self._tell()
        return found

    def _tell(self) -> None:
        if self._found is not None:
            tell_mismatch(self._found)
        else:
            _log.warning("database.fits.again")
        self._on_change(self._found)
