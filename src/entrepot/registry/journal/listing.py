"""Lists a journal by the names of its objects, which tell the numbers of the facts in them.

Names and how to read them are drawn in :mod:`entrepot.blobstore.keys`; entries and segments lie in a folder each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from entrepot.blobstore.keys import journal_entry_key, journal_segment_key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.blobstore.driver import BlobStore

__all__ = ["list_folder", "list_keys", "starts_after"]

_LONGEST_SEGMENT: Final = 2_000
"""Numbers from a segment's first fact to its last, at most; one that begins before a fact may end after it.

It holds 1,000 facts, and numbers that no fact got are rare. Whoever looks for a fact looks at all in that range.
"""


async def list_keys(blobs: BlobStore, prefix: str, start_after: str = "") -> AsyncGenerator[str, Any]:
    """Yield the keys with a prefix that come after another, in byte order; whoever breaks off closes it.

    Raises:
        BlobStoreError: the store can't be listed.
    """
    async for found in blobs.list_objects(prefix, start_after):
        yield found.key


def list_folder(blobs: BlobStore, start_after: str) -> AsyncGenerator[str, Any]:
    """Yield the keys behind another in its folder, as :func:`list_keys`; there need not be that one."""
    return list_keys(blobs, start_after.rpartition("/")[0] + "/", start_after)


def starts_after(incarnation: str, number: int, *, in_entries_alone: bool) -> list[str]:
    """Return behind which keys, each in its folder, all lies that tells of facts after a number.

    Args:
        in_entries_alone: whether segments are of no interest.
    """
    starts = [journal_entry_key(incarnation, number)]
    if not in_entries_alone:
        starts.append(journal_segment_key(incarnation, max(number - _LONGEST_SEGMENT, 0), 0))
    return starts
