"""Finds in the journal what another history wrote under numbers that this database has given anew.

An older copy of the database that was put in place and served gives numbers again that the journal has already. Once it
has given more of them than there were, the journal is no longer ahead of it by any number: only what the numbers mean
tells the two apart. The facts that wait for their segment are the ones to look at. They are the first that the copy
recorded, and stay so, as nothing is written to the journal once one of them was found there as another fact.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import journal_numbers
from entrepot.registry.journal import line_of
from entrepot.registry.journal_listing import list_folder, starts_after
from entrepot.registry.journal_reader import read_lines, tell_the_same

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.records import JournalFact
    from entrepot.registry.journal_reader import RecordedLine

__all__ = ["find_other_history"]

_READ_AT_ONCE: Final = 16


async def find_other_history(
    blobs: BlobStore, incarnation: str, waiting: Sequence[JournalFact], *, in_entries_alone: bool
) -> str:
    """Return which entry or segment tells of another fact under the number of one that waits, empty without one.

    Reads what lies under those numbers: as a rule the entries of these very facts.

    Args:
        waiting: facts without a segment, in sequence order.
        in_entries_alone: whether the segments are known to be this database's.

    Raises:
        BlobStoreError: the store can't be read.
    """
    if not waiting:
        return ""
    lines = {fact.sequence: line_of(fact) for fact in waiting}
    first, last = waiting[0].sequence, waiting[-1].sequence
    for start_after in starts_after(incarnation, first - 1, in_entries_alone=in_entries_alone):
        async with aclosing(_candidates(blobs, start_after, last, sorted(lines))) as groups:
            async for group in groups:
                for key in await asyncio.gather(*(_rival(blobs, key, lines) for key in group)):
                    if key:
                        return key
    return ""


async def _candidates(
    blobs: BlobStore, start_after: str, last: int, numbers: Sequence[int]
) -> AsyncGenerator[Sequence[str], None]:
    """Yield the keys whose names cover any of the ascending numbers, a few at a time."""
    group: list[str] = []
    async with aclosing(list_folder(blobs, start_after)) as keys:
        async for key in keys:
            begin, end = journal_numbers(key)
            if begin > last:
                break
            index = bisect_left(numbers, begin)
            if begin and index < len(numbers) and numbers[index] <= end:
                group.append(key)
            if len(group) == _READ_AT_ONCE:
                yield group
                group = []
    if group:
        yield group


async def _rival(blobs: BlobStore, key: str, lines: Mapping[int, RecordedLine]) -> str:
    """Return the key again when it tells of another fact than `lines`."""
    for line in await read_lines(blobs, key, _leave_to_verify):
        mine = lines.get(line.sequence)
        if mine is not None and not tell_the_same(mine, line):
            return key
    return ""


def _leave_to_verify(key: str, reason: str) -> None:
    """Say nothing of a line that can't be read: it contradicts nobody."""
