"""Lists a journal by the names of its objects, which tell the numbers of the facts in them.

Names and how to read them are drawn in :mod:`entrepot.blobstore.keys`; entries and segments lie in a folder each.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from entrepot.blobstore.keys import journal_entry_key, journal_numbers, journal_segment_key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.blobstore.driver import BlobStore

__all__ = ["SEGMENT_SPAN", "find_longest_segment", "list_folder", "list_keys", "span_of", "starts_after"]

SEGMENT_SPAN: Final = 2_000
"""How many numbers the name of a segment covers at most: no writer lets one span more.

One that begins before a fact may end after it, so whoever looks for a fact looks at all that begin so far before it.
Facts that wait again among new ones, as after a repair, lie far apart; former programs put them into one segment.
"""

_longest: Final[WeakKeyDictionary[BlobStore, dict[str, str]]] = WeakKeyDictionary()
"""The longest segment of each journal, as it was found in each store of this process: none comes that is longer.

That there was none is not believed again: the right volume may be mounted only now.
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


def starts_after(incarnation: str, number: int, segment_span: int | None) -> list[str]:
    """Return behind which keys, each in its folder, all lies that tells of facts after a number.

    Args:
        segment_span: how many numbers a segment covers at most; `None` where segments are of no interest.
    """
    starts = [journal_entry_key(incarnation, number)]
    if segment_span is not None:
        starts.append(journal_segment_key(incarnation, max(number - segment_span, 0), 0))
    return starts


def span_of(key: str) -> int:
    """Return how many numbers the name of a segment covers, 0 for what none of our programs named so."""
    first, last = journal_numbers(key)
    return last - first + 1 if 0 < first <= last else 0


async def find_longest_segment(blobs: BlobStore, incarnation: str) -> str:
    """Return the segment of a journal that covers the most numbers, an empty text without any.

    Lists the names of all, once for each store of a process.

    Raises:
        BlobStoreError: the store can't be listed.
    """
    known = _longest.setdefault(blobs, {})
    longest = known.get(incarnation, "")
    if not longest:
        async with aclosing(list_folder(blobs, journal_segment_key(incarnation, 0, 0))) as keys:
            async for key in keys:
                longest = max(longest, key, key=span_of)
        known[incarnation] = longest
    return longest
