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

from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import JOURNAL, journal_entry_key, journal_segment_key
from entrepot.metadata.errors import RebuildUnfinishedError
from entrepot.registry.journal_reader import has_journal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from typing import Any

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["Discrepancy", "find_discrepancy", "find_foreign_facts", "find_lack", "require_finished_rebuild"]

_LONGEST_SEGMENT: Final = 2_000
"""Numbers from a segment's first fact to its last, at most; one that begins before the youngest fact may end after it.

It holds 1,000 facts, and numbers that no fact got are rare. Each start looks at all segments in that range.
"""

_KNOWS_MORE: Final = "its storage holds what its database does not know"
_LACKS: Final = "its storage lacks what its database has written there"
_PUT_RIGHT: Final = (
    "put the right storage in place and start again; if this is the right one and has lost things, first run "
    "entrepot verify --repair --force"
)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Why a database and a store don't belong together, and what their operator can do about it.

    Attributes:
        summary: what may be told to clients; `reason` names objects.
    """

    reason: str
    remedy: str
    summary: str


async def find_foreign_facts(metadata: Metadata, blobs: BlobStore) -> str:
    """Return what of the journal this database can't have written, an empty text when there is nothing.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    found = await _find_foreign(metadata, blobs)
    return "" if found is None else found.reason


async def find_lack(metadata: Metadata, blobs: BlobStore) -> str:
    """Return what this database has journalled and the store has not, an empty text when it has what it must have.

    Only what is marked as written counts: facts that wait for their segment prove nothing. Costs a statement, and of
    the store a look at one object and, as a rule, the first page of a listing.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    incarnation = await metadata.instance.incarnation()
    written = await metadata.outbox.written()
    own = f"{JOURNAL}{incarnation}/"
    if written.newest_segment.startswith(own) and not await _is_there(blobs, written.newest_segment):
        return f"{written.newest_segment} is missing, which this database has written"
    if written.first_fact > 0 and not await _holds_fact(blobs, incarnation, written.first_fact):
        return f"{own} lacks fact {written.first_fact}, which this database has written there"
    return ""


async def find_discrepancy(metadata: Metadata, blobs: BlobStore) -> Discrepancy | None:
    """Return both with a remedy, `None` when there is nothing. Costs a few bounded listings.

    What the store lacks comes first: a store that is another registry's is put right by naming the right one.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    lack = await find_lack(metadata, blobs)
    if lack:
        return Discrepancy(lack, _PUT_RIGHT, _LACKS)
    return await _find_foreign(metadata, blobs)


async def _find_foreign(metadata: Metadata, blobs: BlobStore) -> Discrepancy | None:
    incarnation = await metadata.instance.incarnation()
    settled = await metadata.replay.settled()
    for found in await blobs.list_folders(JOURNAL):
        if found == incarnation:
            ahead = await _first_unseen(metadata, blobs, incarnation)
            if ahead:
                reason = f"{ahead} tells of what this database has not seen yet"
                return Discrepancy(reason, "run entrepot rebuild --catch-up", _KNOWS_MORE)
        elif await _has_unsettled(blobs, found, settled):
            reason = f"{JOURNAL}{found}/ was written for another database"
            remedy = "restore that database, or run entrepot rebuild on an empty one"
            return Discrepancy(reason, remedy, _KNOWS_MORE)
    return None


async def _is_there(blobs: BlobStore, key: str) -> bool:
    try:
        await blobs.stat(key)
    except ObjectNotFoundError:
        return False
    return True


async def _holds_fact(blobs: BlobStore, incarnation: str, number: int) -> bool:
    """Tell whether a segment's name covers a fact, or an entry is its own, as of one that a rebuild found so."""
    prefix = journal_segment_key(incarnation, 0, 0).rpartition("/")[0] + "/"
    async with aclosing(_keys(blobs, prefix, "")) as keys:
        async for key in keys:
            first = key.rpartition("/")[2].partition("-")[0]
            if not first.isdecimal():
                continue
            if int(first) > number:
                break
            if _last_number(key) >= number:
                return True
    return await _is_there(blobs, journal_entry_key(incarnation, number))


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
        return await _first_ahead(blobs, incarnation, settled[incarnation], None) != ""
    return await has_journal(blobs, incarnation)


async def _first_unseen(metadata: Metadata, blobs: BlobStore, incarnation: str) -> str:
    newest = await metadata.orphans.last_fact()
    return await _first_ahead(blobs, incarnation, newest, metadata)


async def _first_ahead(blobs: BlobStore, incarnation: str, newest: int, metadata: Metadata | None) -> str:
    """Return the first entry or segment with a fact younger than `newest`, an empty text without one.

    `newest` is what the database knew before; with `metadata` it is asked again when a key goes beyond that: a fact is
    committed before it is journalled, so a database that has it says so by then.
    """
    for start_after in (
        journal_entry_key(incarnation, newest),
        journal_segment_key(incarnation, max(newest - _LONGEST_SEGMENT, 0), 0),
    ):
        directory = start_after.rpartition("/")[0] + "/"
        async with aclosing(_keys(blobs, directory, start_after)) as keys:
            async for key in keys:
                last = _last_number(key)
                if last > newest and metadata is not None:
                    newest = await metadata.orphans.last_fact()
                if last > newest:
                    return key
    return ""


def _last_number(key: str) -> int:
    """Return the number of the last fact under a key, 0 for a file that no program of ours named."""
    number = key.rpartition("/")[2].rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


async def _keys(blobs: BlobStore, prefix: str, start_after: str) -> AsyncGenerator[str, Any]:
    async for found in blobs.list_objects(prefix, start_after):
        yield found.key
