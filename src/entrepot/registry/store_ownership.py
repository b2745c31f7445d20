"""Tells whether the blob store holds what another database, or a younger copy of this one, knows about (F47).

Whoever removes what no row mentions must be sure that the rows are the right ones. The journal in the store names the
database that wrote it and numbers its facts, so a database that was made anew, restored from an old copy, or pointed at
somebody else's bucket is found out before a byte is lost.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import JOURNAL, journal_entry_key, journal_segment_key
from entrepot.metadata.errors import RebuildUnfinishedError
from entrepot.registry.journal_reader import has_journal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from typing import Any

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["Discrepancy", "find_discrepancy", "find_foreign_facts", "require_finished_rebuild"]

_LONGEST_SEGMENT: Final = 2_000
"""Numbers from a segment's first fact to its last, at most; one that begins before the youngest fact may end after it.

It holds 1,000 facts, and numbers that no fact got are rare. Each start looks at all segments in that range.
"""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """What of the journal a database can't have written, and what its operator can do about it."""

    reason: str
    remedy: str


async def find_foreign_facts(metadata: Metadata, blobs: BlobStore) -> str:
    """Return what of the journal this database can't have written, an empty text when there is nothing.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    found = await find_discrepancy(metadata, blobs)
    return "" if found is None else found.reason


async def find_discrepancy(metadata: Metadata, blobs: BlobStore) -> Discrepancy | None:
    """Return the same with a remedy, `None` when there is nothing. Costs a few bounded listings.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    incarnation = await metadata.instance.incarnation()
    settled = await metadata.replay.settled()
    for found in await blobs.list_folders(JOURNAL):
        if found == incarnation:
            ahead = await _first_unseen(metadata, blobs, incarnation)
            if ahead:
                reason = f"{ahead} tells of what this database has not seen yet"
                return Discrepancy(reason, "run entrepot rebuild --catch-up")
        elif await _has_unsettled(blobs, found, settled):
            reason = f"{JOURNAL}{found}/ was written for another database"
            return Discrepancy(reason, "restore that database, or run entrepot rebuild on an empty one")
    return None


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
