"""Tells whether a database can be brought up to its storage, and from where on, before anything is changed.

The whole journal is compared with what the database recorded. What it lacks need not lie behind its last number: a copy
may have been made while a unit was open that had drawn a smaller one, and a file of the journal may have been away when
the database was rebuilt from the rest.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.metadata.errors import HistoryDivergedError
from entrepot.rebuild.errors import RebuildRefusedError
from entrepot.rebuild.recorded_facts import RecordedFacts
from entrepot.registry.journal.reader import JournalReader, find_incarnations, tell_the_same
from entrepot.registry.journal.rival_histories import RivalHistories
from entrepot.registry.journal.writer import line_of

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["CatchUpStart", "find_catch_up_start"]


@dataclass(frozen=True, slots=True)
class CatchUpStart:
    """What a database lacks of its journal.

    Attributes:
        incarnation: whose journal it is.
        known: the youngest fact that the database recorded, 0 without one.
        unseen: how many facts of the journal it has not recorded.
        earlier: how many of those have smaller numbers than `known`.
        first: the first of all, 0 when there is none.
    """

    incarnation: str
    known: int
    unseen: int = 0
    earlier: int = 0
    first: int = 0

    @property
    def after(self) -> int:
        """The number up to which the database has recorded every fact that the journal tells of."""
        return self.first - 1 if self.unseen else self.known


async def find_catch_up_start(metadata: Metadata, blobs: BlobStore) -> CatchUpStart:
    """Return what of its journal a database lacks. A registry may be writing to both.

    Raises:
        RebuildRefusedError: it can't be brought up to date.
        HistoryDivergedError: it has facts of its own under the journal's numbers.
        MetadataError, BlobStoreError: it can't be told.
    """
    if await metadata.replay.unfinished() is not None:
        raise RebuildRefusedError(
            "a rebuild of the whole database was interrupted", "run it again, without --catch-up"
        )
    own = await metadata.instance.incarnation()
    if own not in await find_incarnations(blobs):
        raise RebuildRefusedError(
            f"the storage holds no journal of this database ({own})",
            "this is another registry's storage, or the database was made anew: then rebuild it without --catch-up",
        )
    return await _compare(metadata, blobs, own)


async def _compare(metadata: Metadata, blobs: BlobStore, own: str) -> CatchUpStart:
    rivals = RivalHistories()
    known = await metadata.orphans.last_fact()
    recorded = RecordedFacts(metadata)
    unseen: list[int] = [0, 0]
    first = diverged = 0
    async with aclosing(JournalReader(blobs, own, _unheard, rivals.add).facts()) as lines:
        async for line in lines:
            is_later = line.sequence > known
            fact = None if is_later else await recorded.find(line.sequence)
            if fact is None:
                unseen[is_later] += 1
                first = first or line.sequence
            elif not diverged and not tell_the_same(line_of(fact), line):
                diverged = line.sequence
    if rivals:
        raise RebuildRefusedError(
            f"the journal tells of two histories: {rivals.summary()}",
            "move the files of the one that is not wanted out of the journal, and see the guide to entrepot rebuild, "
            "under two histories",
        )
    if diverged:
        raise HistoryDivergedError(diverged)
    return CatchUpStart(own, known, sum(unseen), unseen[0], first)


def _unheard(key: str, reason: str) -> None:
    """Leave damage to the rebuild itself, which reports it."""
