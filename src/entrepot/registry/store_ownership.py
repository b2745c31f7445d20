"""Tells whether the blob store holds what another database, or a younger copy of this one, knows about (F47).

Whoever removes what no row mentions must be sure that the rows are the right ones. The journal in the store names the
database that wrote it and numbers its facts, so a database that was made anew, restored from an old copy, or pointed at
somebody else's bucket is found out before a byte is lost.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import AFTER_ALL_KEYS, JOURNAL, journal_entry_key, journal_segment_key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Any

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["find_foreign_facts"]

_LONGEST_SEGMENT: Final = 10_000
"""Facts in a segment, at most; one that begins before the youngest fact may still end after it."""


async def find_foreign_facts(metadata: Metadata, blobs: BlobStore) -> str:
    """Return what of the journal this database can't have written, an empty text when there is nothing.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    incarnation = await metadata.instance.incarnation()
    own = f"{JOURNAL}{incarnation}/"
    for start in ("", own + AFTER_ALL_KEYS):
        found = await _first_key(blobs, JOURNAL, start)
        if found and not found.startswith(own):
            return f"{found} was written for another database"
    newest = await metadata.orphans.last_fact()
    for start in (
        journal_entry_key(incarnation, newest),
        journal_segment_key(incarnation, max(newest - _LONGEST_SEGMENT, 0), 0),
    ):
        ahead = await _first_ahead(metadata, blobs, start, newest)
        if ahead:
            return f"{ahead} tells of what this database has not seen yet"
    return ""


async def _first_key(blobs: BlobStore, prefix: str, start_after: str) -> str:
    async with aclosing(_keys(blobs, prefix, start_after)) as keys:
        async for key in keys:
            return key
    return ""


async def _first_ahead(metadata: Metadata, blobs: BlobStore, start_after: str, newest: int) -> str:
    """Return the first key after `start_after` in its directory whose last fact is younger than the database's.

    `newest` is what the database knew before; it is asked again only when a key goes beyond that.
    """
    async with aclosing(_keys(blobs, start_after.rpartition("/")[0] + "/", start_after)) as keys:
        async for key in keys:
            last = int(key.rpartition("/")[2].rpartition("-")[2])
            if last > newest:
                # A fact is committed before it is journalled, so a database that has it says so by now.
                newest = await metadata.orphans.last_fact()
                if last > newest:
                    return key
    return ""


async def _keys(blobs: BlobStore, prefix: str, start_after: str) -> AsyncGenerator[str, Any]:
    async for found in blobs.list_objects(prefix, start_after):
        yield found.key
