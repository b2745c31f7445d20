"""Where a database and the journal in the store stand: who is ahead of whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.blobstore.keys import JOURNAL, journal_numbers

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["Position", "find_last_number", "find_position"]


@dataclass(frozen=True, slots=True)
class Position:
    """Numbers of facts.

    Attributes:
        incarnation: the database's.
        database_last: the youngest fact that it recorded, 0 without one.
        surely_written: up to which it knows that the journal was written.
        journal_last: the greatest number in the journal of its name.
        waiting: how many facts it has that no segment of the journal has yet; some may have an entry.
    """

    incarnation: str
    database_last: int
    surely_written: int
    journal_last: int
    waiting: int

    @property
    def database_is_behind(self) -> bool:
        """Whether the journal tells of what the database has not seen."""
        return self.journal_last > self.database_last

    @property
    def storage_is_behind(self) -> bool:
        """Whether the journal lacks what the database knows to have been written to it."""
        return self.journal_last < self.surely_written


async def find_position(metadata: Metadata, blobs: BlobStore) -> Position:
    """Compare, by names of objects alone.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    incarnation = await metadata.instance.incarnation()
    waiting = await metadata.outbox.unjournalled_count()
    first_waiting = await metadata.outbox.first_unjournalled()
    database_last = await metadata.orphans.last_fact()
    journal_last = await find_last_number(blobs, incarnation)
    written = database_last if first_waiting is None else first_waiting - 1
    return Position(incarnation, database_last, written, journal_last, waiting)


async def find_last_number(blobs: BlobStore, incarnation: str) -> int:
    """Return the greatest number that names an entry or ends a segment of a journal, 0 without one.

    Raises:
        BlobStoreError: the store can't be listed.
    """
    last = 0
    async for found in blobs.list_objects(f"{JOURNAL}{incarnation}/"):
        last = max(last, journal_numbers(found.key)[1])
    return last
