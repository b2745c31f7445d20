"""Notices in a process that runs that database and blob store no longer belong together (F47).

A database can be put back under running nodes: an older copy is restored, or a standby takes over that had not received
everything. It gives numbers of facts again that the journal has, and what was pushed in between is lost, so nothing may
be written any more, as at a start. A volume can go, too, or another be mounted. Nothing is asked for this per request:
every few seconds three statements, and a look at the directory of a store on a disk, tell whether anything speaks for
it, and only then is the store asked. A probe, for whom nobody has asked at the start, asks it by the clock besides.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.driver import PreparedPlace
from entrepot.registry.journal.overlap import ComparedObjects
from entrepot.registry.store_match.ownership import Discrepancy, Traces, find_discrepancy

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["StoreWatch"]

_PATIENCE_SECONDS: Final = 15.0
"""Facts get their segment within ten seconds; a worker that found a discrepancy writes none any more."""


class StoreWatch:
    """Remembers what a process has seen of its database. Belongs to one event loop.

    What was found is asked for again at each look, and forgotten once everything fits: a volume was mounted again, or
    the database was caught up. Another database never fits: what the process writes bears the name of its first one.
    """

    def __init__(
        self,
        metadata: Metadata,
        blobs: BlobStore,
        on_change: Callable[[Discrepancy | None], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        believed_seconds: float = math.inf,
    ) -> None:
        """Take a pair; `on_change` is told what was found, and `None` when all is well again.

        That they fit is believed for `believed_seconds`, as long as nothing in the database speaks against it.
        """
        self._metadata = metadata
        self._blobs = blobs
        self._on_change = on_change
        self._clock = clock
        self._believed_seconds = believed_seconds
        self._asked_at = clock()
        self._newest = 0
        self._waiting: int | None = None
        self._waiting_since = 0.0
        self._suspicions = 0
        self._looked_into = 0
        self._incarnation = ""
        self._place: str | None = None
        self._found: Discrepancy | None = None
        self._compared = ComparedObjects()

    @property
    def found(self) -> Discrepancy | None:
        """Why nothing may be written at present, `None` as long as nothing is known."""
        return self._found

    @property
    def fits_since(self) -> float | None:
        """When it was asked last whether both fit, by the clock; `None` as long as they may not."""
        return None if self._is_suspicious or self._found is not None else self._asked_at

    def suspect(self) -> None:
        """Let the next look ask the store: something was found there that should not be, or nobody has asked it yet."""
        self._suspicions += 1

    @property
    def _is_suspicious(self) -> bool:
        return self._looked_into < self._suspicions

    async def look(self) -> Discrepancy | None:
        """Ask for database, file and place, and where one of them speaks for it the store, too. For every few seconds.

        Raises:
            MetadataError, BlobStoreError: it can't be told; what was known stays.
        """
        newest = await self._metadata.orphans.last_fact()
        waiting = await self._metadata.outbox.first_unjournalled()
        another = await self._find_another_database()
        now = self._clock()
        if waiting is None or waiting != self._waiting:
            self._waiting, self._waiting_since = waiting, now
        is_due = (
            now - self._waiting_since >= _PATIENCE_SECONDS or now - self._asked_at >= self._believed_seconds
        )
        lost = await self._metadata.lost_file()
        if another or newest < self._newest or lost or await self._is_in_another_place():
            self.suspect()
        if self._is_suspicious or self._found is not None or is_due:
            await self._ask("", self._compared)
            self._waiting_since = now
        self._newest = max(self._newest, newest)
        return self._found

    async def ask(self, own_segment: str = "") -> Discrepancy | None:
        """Ask both, and compare all that waits for its segment; `own_segment` as of :func:`find_discrepancy`.

        Raises:
            MetadataError, BlobStoreError: it can't be told; what was known stays.
        """
        return await self._ask(own_segment, self._compared.all_anew())

    async def note_longest_segment(self) -> None:
        """Note in the database which segment covers the most numbers, if it is not: else each process has to find it.

        Raises:
            MetadataError, BlobStoreError: it can't be told, or not be noted.
        """
        traces = await Traces.of(self._metadata, self._blobs)
        longest = "" if traces.names_longest else await traces.longest_segment()
        if longest:
            await self._metadata.write(lambda tx: tx.journal.note_longest_segment(longest))

    async def _ask(self, own_segment: str, compared: ComparedObjects) -> Discrepancy | None:
        began = self._clock()
        suspicions = self._suspicions  # one that comes meanwhile may have been found behind what is asked now
        found = await self._find(own_segment, compared)
        if found is None and self._found is not None and isinstance(self._blobs, PreparedPlace):
            # A volume that was away at the start, or was filled by a tool that leaves empty folders out, may lack some.
            await self._blobs.prepare()
        self._looked_into, self._asked_at = suspicions, began
        if found != self._found:
            self._found = found
            self._on_change(found)
        return found

    async def _find(self, own_segment: str, compared: ComparedObjects) -> Discrepancy | None:
        if another := await self._find_another_database():
            return another
        newest = await self._metadata.orphans.last_fact()
        found = await find_discrepancy(self._metadata, self._blobs, own_segment, compared=compared)
        if found is None and newest < self._newest:
            # Facts are never removed. What the journal has not told of is known by nobody but this process.
            reason = f"this database's newest fact is {newest}, and was {self._newest} a moment ago"
            remedy = (
                "run entrepot rebuild --catch-up, then start every node again; what the journal does not tell of has "
                "to be pushed again"
            )
            found = Discrepancy(reason, remedy, "its database is an older copy of what it was")
        self._newest = max(self._newest, newest)
        return found

    async def _is_in_another_place(self) -> bool:
        """Whether something else lies now where the store lay at the look before, or nothing does."""
        if not isinstance(self._blobs, PreparedPlace):
            return False
        place = await self._blobs.identify_place()
        before, self._place = self._place, place
        return before is not None and place != before

    async def _find_another_database(self) -> Discrepancy | None:
        """Return that this is another database than at the first look."""
        incarnation = await self._metadata.instance.incarnation()
        self._incarnation = self._incarnation or incarnation
        if incarnation == self._incarnation:
            return None
        reason = f"this is database {incarnation}, and it was {self._incarnation} when this process began"
        remedy = (
            "put the right database in place (metadata.url, or the file below the data directory); if this is the "
            "right one, start every node again"
        )
        return Discrepancy(reason, remedy, "its database is another one than it began with")
