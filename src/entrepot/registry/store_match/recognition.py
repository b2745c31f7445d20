"""Tells another store from an older copy of the right one: whether pulls have anything to find there (F47).

To write, a store must hold all that its database has journalled: see :mod:`entrepot.registry.store_match.ownership`. To
read, an older copy does: what lies there is right, and there may be nothing better. Of another one, a wrong prefix or a
directory whose volume is not mounted, nothing can be pulled, so clients are better served by any other node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.registry.store_match.ownership import Traces

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["ANOTHER_STORE_REMEDY", "find_strangeness"]

ANOTHER_STORE_REMEDY: Final = (
    "this storage is another one than the database's: put the right one in place (storage.root and its volume, or "
    "storage.s3.bucket and prefix, as on the other nodes) and start again; if it is the right one and has lost its "
    "journal, run entrepot verify --repair --force"
)


async def find_strangeness(metadata: Metadata, blobs: BlobStore) -> str:
    """Return what shows that a store is another one than the database's, an empty text for the right one or a copy.

    Another one has neither of :class:`.Traces`. With one of both it has been this database's: an older copy lacks the
    newest segment, and one that was damaged any of them. The second one is asked for only where the first is missing.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    traces = await Traces.of(metadata, blobs)
    if traces.names_segment and not await traces.lacks_segment():
        return ""
    if not await traces.lacks_fact():
        return ""
    first = traces.written.first_fact
    return f"{traces.folder} lacks fact {first}, the first that this database has written there"
