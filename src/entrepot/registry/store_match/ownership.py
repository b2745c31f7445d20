"""Tells whether blob store and database belong together (F47).

Whoever removes what no row mentions must be sure that the rows are the right ones. The journal in the store names the
database that wrote it and numbers its facts, so a database that was made anew, restored from an old copy, or pointed at
somebody else's bucket is found out before a byte is lost.

The other way round, whoever writes must be sure that the store is the one that the rows tell of: into a wrong one (a
volume that is not mounted, another prefix) pushes would go that no other node can read, and blobs that seem lost there
would be pushed again and their rows led away from sound bytes. The database knows what it has journalled, and segments
are never removed, so a store that lacks the first fact or the newest segment is another one, or an older copy.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from entrepot.blobstore.driver import LocalPaths
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import JOURNAL, journal_entry_key, journal_numbers, journal_segment_key
from entrepot.kernel.first_in_order import first_in_order
from entrepot.metadata.errors import RebuildUnfinishedError
from entrepot.registry.journal.listing import (
    SEGMENT_SPAN,
    find_longest_segment,
    list_folder,
    span_of,
    starts_after,
)
from entrepot.registry.journal.overlap import ComparedObjects, find_other_history
from entrepot.registry.journal.reader import has_journal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.records import WrittenJournal
    from entrepot.metadata.store import Metadata

__all__ = [
    "Discrepancy",
    "Traces",
    "find_discrepancy",
    "find_foreign_facts",
    "find_lack",
    "require_finished_rebuild",
]

_MOST_WAITING: Final = 1_000
"""Facts without a segment whose numbers are looked up in the journal: a segment's, which is what a worker asks for."""
_KNOWS_MORE: Final = "its storage holds what its database does not know"
_WENT_ITS_OWN_WAY: Final = "its storage tells of other changes than its database under the same numbers"
_LACKS: Final = "its storage lacks what its database has written there"
_HALF_WAY: Final = "a catch-up of this database was begun, and has not come to its end"
_GO_ON: Final = "run entrepot rebuild --catch-up again, which goes on, then start every node"
_LOST_FILE: Final = "the file of its database was replaced or removed under it"
_PUT_RIGHT: Final = (
    "put the right storage in place and start again; if this is the right one and has lost things, first run "
    "entrepot verify --repair --force"
)
_START_AGAIN: Final = (
    "stop this node, see to it that the right file lies there, with its own log (-wal) or with none, and start this "
    "node again; a removed log was copied back by this node, and that of a file that was replaced or moved was put "
    "aside (-wal.of-…) and is found again if that file comes back by mv or cp -p; where only a log's index (-shm) was "
    "removed, leave the log: it has the newest changes"
)
_CHOOSE: Final = (
    "stop all nodes, put the newest copy of the database back or make a new one with entrepot rebuild, and push again "
    "what was pushed since; see the guide to entrepot rebuild, under two histories"
)


@dataclass(frozen=True, slots=True)
class _Proof:
    """The object by which a store was found to hold a fact."""

    incarnation: str
    number: int
    key: str


_proofs: Final[WeakKeyDictionary[BlobStore, _Proof]] = WeakKeyDictionary()
"""What proved the first fact in each store of this process: found by a listing once, and looked at from then on."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Why a database and a store don't belong together, and what their operator can do about it.

    Attributes:
        summary: what may be told to clients; `reason` names objects.
    """

    reason: str
    remedy: str
    summary: str


@dataclass(frozen=True, slots=True)
class Traces:
    """What a database has written into its store, and what any other store lacks: newest segment and first fact.

    Only what is marked as written counts: facts that wait for their segment prove nothing. Each question costs a look
    at one object of the store, the one for the first fact a listing of segments at the first time in a process.
    """

    blobs: BlobStore
    incarnation: str
    written: WrittenJournal

    @classmethod
    async def of(cls, metadata: Metadata, blobs: BlobStore) -> Traces:
        """Ask the database, by one statement.

        Raises:
            MetadataError: it can't be told.
        """
        return cls(blobs, await metadata.instance.incarnation(), await metadata.outbox.written())

    @property
    def folder(self) -> str:
        """Where this database's journal lies."""
        return f"{JOURNAL}{self.incarnation}/"

    @property
    def names_segment(self) -> bool:
        """Whether the database has noted a segment in that folder."""
        return self.written.newest_segment.startswith(self.folder)

    @property
    def names_longest(self) -> bool:
        """Whether the database has noted the longest segment in that folder."""
        return self.written.longest_segment.startswith(self.folder)

    async def lacks_segment(self) -> bool:
        """Whether the newest segment was noted and is not there.

        Raises:
            BlobStoreError: it can't be told.
        """
        return self.names_segment and not await _is_there(self.blobs, self.written.newest_segment)

    async def lacks_fact(self) -> bool:
        """Whether the first fact was written and is not there.

        Raises:
            BlobStoreError: it can't be told.
        """
        first = self.written.first_fact
        return first > 0 and not await _holds_fact(self.blobs, self.incarnation, first)

    async def longest_span(self) -> int:
        """Return how many numbers a segment in that folder covers at most.

        Where the database has not noted it yet, all segments are listed, once in a process.

        Raises:
            BlobStoreError: it can't be told.
        """
        return max(span_of(await self.longest_segment()), SEGMENT_SPAN)

    async def longest_segment(self) -> str:
        """Return which segment in that folder covers the most numbers, as :func:`.find_longest_segment`."""
        if self.names_longest:
            return self.written.longest_segment
        return await find_longest_segment(self.blobs, self.incarnation)


async def find_foreign_facts(metadata: Metadata, blobs: BlobStore) -> str:
    """Return what of the journal this database can't have written, an empty text when there is nothing.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    traces = await Traces.of(metadata, blobs)
    span = await traces.longest_span()
    history = _find_other_history(metadata, traces, ComparedObjects(None), span)
    found = await first_in_order(_find_foreign(metadata, traces, span), history)
    return "" if found is None else found.reason


async def find_lack(metadata: Metadata, blobs: BlobStore) -> str:
    """Return what this database has journalled and the store has not, an empty text when it has what it must have.

    It must have both of :class:`Traces`.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    return await _find_lack(await Traces.of(metadata, blobs))


async def _find_lack(traces: Traces) -> str:
    return await first_in_order(_find_missing_segment(traces), _find_missing_fact(traces))


async def _find_missing_segment(traces: Traces) -> str:
    if not await traces.lacks_segment():
        return ""
    return f"{traces.written.newest_segment} is missing, which this database has written"


async def _find_missing_fact(traces: Traces) -> str:
    if not await traces.lacks_fact():
        return ""
    return f"{traces.folder} lacks fact {traces.written.first_fact}, which this database has written there"


async def find_discrepancy(
    metadata: Metadata,
    blobs: BlobStore,
    own_segment: str = "",
    *,
    compared: ComparedObjects | None = None,
) -> Discrepancy | None:
    """Return both with a remedy, `None` when there is nothing.

    Costs a few bounded listings and what `compared` lets be read, two requests after one another: probes wait for it.
    What the store lacks comes first: a store that is another registry's is put right by naming the right one.

    Args:
        own_segment: the segment that this very process wrote last. Where the database still names it as the newest, it
            is not an older copy than then, and a disk, which lists a directory as a whole, is not asked for segments.
        compared: what was read of the journal before; absent, nothing was, and a few objects of it are read.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    lost = await metadata.lost_file()
    if lost:
        reason = (
            f"{lost} was replaced or removed under this process, which goes on reading what lay there before"
        )
        return Discrepancy(reason, _START_AGAIN, _LOST_FILE)
    traces = await Traces.of(metadata, blobs)
    is_newest = own_segment != "" and traces.written.newest_segment == own_segment
    span = None if is_newest and isinstance(blobs, LocalPaths) else await traces.longest_span()
    return await first_in_order(
        _find_what_lacks(traces),
        _find_half_way(metadata),
        _find_foreign(metadata, traces, span),
        _find_other_history(metadata, traces, compared or ComparedObjects(), span),
    )


async def _find_what_lacks(traces: Traces) -> Discrepancy | None:
    lack = await _find_lack(traces)
    return Discrepancy(lack, _PUT_RIGHT, _LACKS) if lack else None


async def _find_half_way(metadata: Metadata) -> Discrepancy | None:
    """Ask for a catch-up that was killed: what it was to bring may lie before what is known, so no number tells."""
    is_half_way = await metadata.replay.catching_up() is not None
    return Discrepancy(_HALF_WAY, _GO_ON, _KNOWS_MORE) if is_half_way else None


async def _find_other_history(
    metadata: Metadata, traces: Traces, compared: ComparedObjects, segment_span: int | None
) -> Discrepancy | None:
    waiting = await metadata.outbox.unjournalled(0, _MOST_WAITING)
    key = await find_other_history(
        traces.blobs, traces.incarnation, waiting, compared, segment_span=segment_span
    )
    if not key:
        return None
    reason = f"{key} tells of other facts than this database under the same numbers"
    return Discrepancy(reason, _CHOOSE, _WENT_ITS_OWN_WAY)


async def _find_foreign(metadata: Metadata, traces: Traces, segment_span: int | None) -> Discrepancy | None:
    settled = await metadata.replay.settled()
    for found in await traces.blobs.list_folders(JOURNAL):
        if found == traces.incarnation:
            newest = await metadata.orphans.last_fact()
            ahead = await _first_ahead(traces.blobs, found, newest, segment_span, metadata)
            if ahead:
                reason = f"{ahead} tells of what this database has not seen yet"
                return Discrepancy(reason, "run entrepot rebuild --catch-up", _KNOWS_MORE)
        elif await _has_unsettled(traces.blobs, found, settled):
            reason = f"{JOURNAL}{found}/ was written for another database"
            remedy = "restore that database, or run entrepot rebuild on an empty one"
            return Discrepancy(reason, remedy, _KNOWS_MORE)
    return None


async def _is_there(blobs: BlobStore, key: str) -> bool:
    """Tell whether a store has an object of this key."""
    try:
        await blobs.stat(key)
    except ObjectNotFoundError:
        return False
    return True


async def _holds_fact(blobs: BlobStore, incarnation: str, number: int) -> bool:
    """Tell whether a segment's name covers a fact, or an entry is its own, as of one that a rebuild found so.

    A disk reads a whole directory to list it, so what was found is remembered, and looked for by its name.
    """
    known = _proofs.get(blobs)
    if known is not None and (known.incarnation, known.number) == (incarnation, number):
        if await _is_there(blobs, known.key):
            return True
        _proofs.pop(blobs, None)  # somebody who asked at the same time may have done it
    key = await _find_fact(blobs, incarnation, number)
    if key:
        _proofs[blobs] = _Proof(incarnation, number, key)
    return key != ""


async def _find_fact(blobs: BlobStore, incarnation: str, number: int) -> str:
    async with aclosing(list_folder(blobs, journal_segment_key(incarnation, 0, 0))) as keys:
        async for key in keys:
            first, last = journal_numbers(key)
            if first > number:
                break
            if first and last >= number:
                return key
    entry = journal_entry_key(incarnation, number)
    return entry if await _is_there(blobs, entry) else ""


async def require_finished_rebuild(metadata: Metadata) -> None:
    """Refuse a database that a rebuild has filled in part.

    Raises:
        RebuildUnfinishedError: it was interrupted, or is still at it.
        MetadataError: it can't be told.
    """
    if await metadata.replay.unfinished() is not None:
        raise RebuildUnfinishedError


async def _has_unsettled(blobs: BlobStore, incarnation: str, settled: Mapping[str, int]) -> bool:
    """Tell whether another database's journal holds anything that a rebuild has not taken over."""
    if incarnation in settled:
        return await _first_ahead(blobs, incarnation, settled[incarnation], SEGMENT_SPAN) != ""
    return await has_journal(blobs, incarnation)


async def _first_ahead(
    blobs: BlobStore,
    incarnation: str,
    newest: int,
    segment_span: int | None,
    metadata: Metadata | None = None,
) -> str:
    """Return the first entry or segment with a fact younger than `newest`, an empty text without one.

    `newest` is what the database knew before; with `metadata` it is asked again when a key goes beyond that: a fact is
    committed before it is journalled, so a database that has it says so by then.
    """
    starts = starts_after(incarnation, newest, segment_span)
    return await first_in_order(*(_first_behind(blobs, start, newest, metadata) for start in starts))


async def _first_behind(blobs: BlobStore, start_after: str, newest: int, metadata: Metadata | None) -> str:
    async with aclosing(list_folder(blobs, start_after)) as keys:
        async for key in keys:
            _, last = journal_numbers(key)
            if last > newest and metadata is not None:
                newest = await metadata.orphans.last_fact()
            if last > newest:
                return key
    return ""
