"""Tells whether a database knows all that a damaged part of its journal may have told of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.registry.journal.reader import find_unread_parts

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["knows_unread_parts"]

_PAGE: Final = 2000


async def knows_unread_parts(metadata: Metadata, blobs: BlobStore, key: str) -> bool:
    """Whether the database has recorded every fact that an object may have told of where it can't be read.

    Another would be lost with it, as where the database was rebuilt without what it told of. To count lines is not
    enough: what is known between two of the object's numbers may lie in other objects.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    for part in await find_unread_parts(blobs, key):
        known = await metadata.verification.recorded(part.legible)
        if not part.is_in_order or len(known) < len(set(part.legible)):
            return False
        if not await _knows_all_between(metadata, part.after, part.before):
            return False
    return True


async def _knows_all_between(metadata: Metadata, after: int, before: int) -> bool:
    while after + 1 < before:
        page = await metadata.replay.recorded(after, min(_PAGE, before - after - 1))
        if not page or page[-1].sequence != after + len(page):
            return False
        after = page[-1].sequence
    return True
