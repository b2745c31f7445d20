"""Finds in the journal what another history wrote under numbers that this database has given anew.

An older copy of the database that was put in place and served gives numbers again that the journal has already. Once it
has given more of them than there were, the journal is no longer ahead of it by any number: only what the numbers mean
tells the two apart. The facts that wait for their segment are the ones to look at. They are the first that the copy
recorded, and stay so, as nothing is written to the journal once one of them was found there as another fact.

Each costs a request, and they are many where the worker has been away. Before it writes a segment it reads all; who
looks every few seconds reads some and remembers them.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import journal_numbers
from entrepot.registry.journal.listing import list_folder, starts_after
from entrepot.registry.journal.reader import read_lines, tell_the_same
from entrepot.registry.journal.writer import line_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.records import JournalFact
    from entrepot.registry.journal.reader import RecordedLine

__all__ = ["ComparedObjects", "find_other_history"]

_READ_AT_ONCE: Final = 16


class ComparedObjects:
    """What of the journal was read already and tells the same as the database. Belongs to one process and database.

    Nothing that lies there is replaced, so it is not read again as long as the database tells of the same facts under
    its numbers: those of a database that was put in its place may be others.
    """

    def __init__(self, most: int | None = _READ_AT_ONCE) -> None:
        """Let `most` objects be read each time; `None` for all of them, each time anew."""
        self._most = most
        self._known: dict[str, Sequence[RecordedLine]] = {}
        self._rivals: set[str] = set()

    def all_anew(self) -> ComparedObjects:
        """Return what lets everything be read, and shares with this what was found to be a rival."""
        everything = ComparedObjects(None)
        everything._rivals = self._rivals
        return everything

    def choose(self, listed: Mapping[str, Sequence[RecordedLine]]) -> Sequence[str]:
        """Return the keys to be read now, of all that were listed with the database's facts under their numbers.

        The first one, and others evenly behind it. Whatever waited when an older copy was made is the journal's, too.
        What the copy recorded first is the first rival, and all up to the journal's end are. So as a rule it is the
        first one, and else one of a run somewhere behind: at the next times the gaps are filled. One that was found to
        be a rival is asked for again each time.
        """
        self._known = {
            key: known for key, known in self._known.items() if _tell_all_the_same(known, listed.get(key, ()))
        }
        self._rivals.intersection_update(listed)
        new = [key for key in listed if key not in self._known and key not in self._rivals]
        if self._most is not None and len(new) > self._most:
            new = [new[place * len(new) // self._most] for place in range(self._most)]
        return [*sorted(self._rivals), *new]

    def remember(self, key: str, lines: Sequence[RecordedLine], *, is_rival: bool) -> None:
        """Take note that an object tells the same as these facts of the database, or of others."""
        if is_rival:
            self._rivals.add(key)
            return
        self._rivals.discard(key)
        if self._most is not None:
            self._known[key] = lines


async def find_other_history(
    blobs: BlobStore,
    incarnation: str,
    waiting: Sequence[JournalFact],
    compared: ComparedObjects,
    *,
    segment_span: int | None,
) -> str:
    """Return which entry or segment tells of another fact under the number of one that waits, empty without one.

    Reads what lies under those numbers: as a rule the entries of these very facts.

    Args:
        waiting: facts without a segment, in sequence order.
        compared: says how much is read, and which.
        segment_span: as of :func:`.starts_after`; `None` where the segments are known to be this database's.

    Raises:
        BlobStoreError: the store can't be read.
    """
    if not waiting:
        return ""
    lines = [line_of(fact) for fact in waiting]
    starts = starts_after(incarnation, waiting[0].sequence - 1, segment_span)
    listed: dict[str, Sequence[RecordedLine]] = {}
    for found in await asyncio.gather(*(_candidates(blobs, start_after, lines) for start_after in starts)):
        listed.update(found)
    chosen = compared.choose(listed)
    for start in range(0, len(chosen), _READ_AT_ONCE):
        group = chosen[start : start + _READ_AT_ONCE]
        for key, is_rival in zip(
            group, await asyncio.gather(*(_is_rival(blobs, key, listed[key]) for key in group)), strict=True
        ):
            compared.remember(key, listed[key], is_rival=is_rival)
            if is_rival:
                return key
    return ""


async def _candidates(
    blobs: BlobStore, start_after: str, lines: Sequence[RecordedLine]
) -> dict[str, Sequence[RecordedLine]]:
    """Return the keys whose names cover any of the ascending facts, each with those."""
    numbers = [line.sequence for line in lines]
    found: dict[str, Sequence[RecordedLine]] = {}
    async with aclosing(list_folder(blobs, start_after)) as keys:
        async for key in keys:
            begin, end = journal_numbers(key)
            if begin > numbers[-1]:
                break
            covered = lines[bisect_left(numbers, begin) : bisect_right(numbers, end)]
            if begin and covered:
                found[key] = covered
    return found


async def _is_rival(blobs: BlobStore, key: str, lines: Sequence[RecordedLine]) -> bool:
    """Whether an object tells of another fact than the database under any of these numbers."""
    mine = {line.sequence: line for line in lines}
    for line in await read_lines(blobs, key, _leave_to_verify):
        own = mine.get(line.sequence)
        if own is not None and not tell_the_same(own, line):
            return True
    return False


def _tell_all_the_same(some: Sequence[RecordedLine], others: Sequence[RecordedLine]) -> bool:
    """Whether both are lines of the same numbers that tell of the same facts."""
    return [line.sequence for line in some] == [line.sequence for line in others] and all(
        map(tell_the_same, some, others)
    )


def _leave_to_verify(key: str, reason: str) -> None:
    """Say nothing of a line that can't be read: it contradicts nobody."""
