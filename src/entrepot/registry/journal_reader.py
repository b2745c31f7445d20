"""Reads the journal back: every fact once, in the order of its sequence number, in constant memory.

Segments may overlap (a worker that was killed between a segment and its mark writes the facts again) and interleave (a
transaction that began early may commit late), and entries may repeat what a segment holds. Each is sorted in itself
and named by its first number, so a merge that opens an object when its turn comes sees all numbers in order.
"""

from __future__ import annotations

import heapq
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import JOURNAL, journal_entry_key, journal_segment_key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from typing import Any

    from entrepot.blobstore.driver import BlobStore

__all__ = ["JournalReader", "RecordedLine", "find_incarnations", "has_journal"]

_NO_NUMBER: Final = 1 << 62


class RecordedLine(msgspec.Struct, frozen=True):
    """One fact as an entry or a segment holds it; `payload` is a JSON object.

    `at_milliseconds` is the database's time of the fact, `None` where only an entry tells of it.
    """

    sequence: int
    kind: str
    repository: str
    actor: str
    payload: msgspec.Raw
    at_milliseconds: int | None = None


@dataclass(frozen=True, slots=True)
class _Object:
    """An entry or a segment that was listed, by the first number in it."""

    first: int
    key: str


async def find_incarnations(blobs: BlobStore) -> list[str]:
    """Return the ids of the databases whose journals lie in the store, in byte order.

    Raises:
        BlobStoreError: the store can't be listed.
    """
    return [name for name in await blobs.list_folders(JOURNAL) if await has_journal(blobs, name)]


async def has_journal(blobs: BlobStore, incarnation: str) -> bool:
    """Tell whether anything lies in a database's folder of the journal; drivers leave empty ones behind.

    Raises:
        BlobStoreError: the store can't be listed.
    """
    async with aclosing(_listed(blobs, f"{JOURNAL}{incarnation}/")) as keys:
        async for _ in keys:
            return True
    return False


class JournalReader:
    """Reads one database's journal."""

    def __init__(self, blobs: BlobStore, incarnation: str, on_damage: Callable[[str, str], None]) -> None:
        """Take a store and whose journal to read; `on_damage` is told key and reason of what can't be read."""
        self._blobs = blobs
        self._incarnation = incarnation
        self._on_damage = on_damage

    async def facts(self, after: int = 0) -> AsyncGenerator[RecordedLine]:
        """Yield the facts with numbers greater than `after`.

        Raises:
            BlobStoreError: the store can't be read.
        """
        last = after
        opened: list[tuple[int, int, RecordedLine, Iterator[RecordedLine]]] = []
        async with aclosing(self._objects()) as objects:
            following = await anext(objects, None)
            while opened or following is not None:
                # Whatever may hold the smallest number has to be open before that is chosen.
                while following is not None and (not opened or following.first <= opened[0][0]):
                    _push(opened, iter(await self._lines(following.key)))
                    following = await anext(objects, None)
                if not opened:
                    continue
                sequence, _, line, rest = heapq.heappop(opened)
                _push(opened, rest)
                if sequence > last:
                    last = sequence
                    yield line

    async def _objects(self) -> AsyncGenerator[_Object]:
        """Yield entries and segments by their first numbers."""
        prefixes = (
            journal_segment_key(self._incarnation, 0, 0).rpartition("/")[0] + "/",
            journal_entry_key(self._incarnation, 0).rpartition("/")[0] + "/",
        )
        async with (
            aclosing(_listed(self._blobs, prefixes[0])) as segments,
            aclosing(_listed(self._blobs, prefixes[1])) as entries,
        ):
            heads = [await self._next_object(segments), await self._next_object(entries)]
            sources = [segments, entries]
            while any(head is not None for head in heads):
                turn = min((0, 1), key=lambda one: _NO_NUMBER if (head := heads[one]) is None else head.first)
                chosen = heads[turn]
                heads[turn] = await self._next_object(sources[turn])
                if chosen is not None:
                    yield chosen

    async def _next_object(self, keys: AsyncGenerator[str]) -> _Object | None:
        async for key in keys:
            first = key.rpartition("/")[2].partition("-")[0]
            if first.isdecimal():
                return _Object(int(first), key)
            self._on_damage(key, "its name is not that of an entry or segment")
        return None

    async def _lines(self, key: str) -> list[RecordedLine]:
        """Return the facts of one object, sorted; one that the worker compacted and deleted meanwhile has none.

        Lines that can't be read are reported and left out.
        """
        try:
            content = b"".join([chunk async for chunk in self._blobs.read(key)])
        except ObjectNotFoundError:
            return []
        lines: list[RecordedLine] = []
        for number, text in enumerate(content.splitlines(), 1):
            try:
                lines.append(msgspec.json.decode(text, type=RecordedLine))
            except msgspec.MsgspecError as error:
                self._on_damage(key, f"line {number}: {error}")
        return sorted(lines, key=lambda line: line.sequence)


def _push(
    opened: list[tuple[int, int, RecordedLine, Iterator[RecordedLine]]], lines: Iterator[RecordedLine]
) -> None:
    """Put what is left of an object into its place; equal numbers are told apart by the identity of the object."""
    line = next(lines, None)
    if line is not None:
        heapq.heappush(opened, (line.sequence, id(lines), line, lines))


async def _listed(blobs: BlobStore, prefix: str, start_after: str = "") -> AsyncGenerator[str, Any]:
    async for found in blobs.list_objects(prefix, start_after):
        yield found.key
