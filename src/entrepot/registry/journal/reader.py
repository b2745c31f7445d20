"""Reads the journal back: every fact once, in the order of its sequence number, in constant memory.

Segments may overlap (a worker that was killed between a segment and its mark writes the facts again) and interleave (a
transaction that began early may commit late), and entries may repeat what a segment holds. Each is sorted in itself
and named by its first number, so a merge that opens an object when its turn comes sees all numbers in order.

A number means one fact. Where two objects tell of different ones, two databases took themselves for this one, as where
an older copy was put under running nodes: the journal then holds two histories, which nobody may take for one.
"""

from __future__ import annotations

import heapq
import re
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec

from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import (
    JOURNAL,
    is_key,
    journal_entry_key,
    journal_numbers,
    journal_segment_key,
)
from entrepot.registry.journal.listing import list_keys

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from entrepot.blobstore.driver import BlobStore

__all__ = [
    "JournalReader",
    "RecordedLine",
    "Rivals",
    "UnreadPart",
    "find_incarnations",
    "find_unread_parts",
    "has_journal",
    "read_lines",
    "sealed",
    "tell_the_same",
    "told_by",
]

_NO_NUMBER: Final = 1 << 62
_SEQUENCE: Final = re.compile(rb'\{"sequence":([0-9]{1,18}),')
"""How every line begins."""


class RecordedLine(msgspec.Struct, frozen=True):
    """One fact as an entry or a segment holds it; `payload` is a JSON object.

    `at_milliseconds` is the database's time of the fact, `None` where only an entry tells of it. `checksum` is that of
    all the rest, by which a line that is JSON still is known for damaged; former programs wrote none (F11).
    """

    sequence: int
    kind: str
    repository: str
    actor: str
    payload: msgspec.Raw
    at_milliseconds: int | None = None
    checksum: int | None = None


@dataclass(frozen=True, slots=True)
class Rivals:
    """Two objects that tell of different facts under one number: the journal holds more than one history."""

    sequence: int
    kept: str
    other: str


@dataclass(frozen=True, slots=True)
class UnreadPart:
    """A part of an object, between facts of two numbers, of which nobody can read what it told of.

    Lines there are torn, or the object begins or ends short of a number that it is named by, and holds a fact of that
    no more; then the two are the number next to that and the one next to it that is held. How many facts are lost is
    not known: the end of a line may be damaged, too. Of an object by whose name nobody finds it, it is the whole.

    Attributes:
        legible: numbers that torn lines there still begin with, of those that the object may hold.
    """

    after: int
    before: int
    legible: tuple[int, ...]

    @property
    def is_in_order(self) -> bool:
        """Whether the two numbers ascend, as in every object that a writer of the journal made."""
        return self.after < self.before


@dataclass(frozen=True, slots=True)
class _Object:
    """An entry or a segment that was listed, by the first number in it."""

    first: int
    key: str


@dataclass(frozen=True, slots=True, order=True)
class _Opened:
    """An object that is being read, at its next line.

    Equal numbers come in the order of the keys, segments first: they know the time of their facts.
    """

    sequence: int
    is_entry: bool
    key: str
    line: RecordedLine = field(compare=False)
    rest: Iterator[RecordedLine] = field(compare=False)


def tell_the_same(one: RecordedLine, other: RecordedLine) -> bool:
    """Whether two lines of one number tell of one fact; its time an entry does not know, and a worker may set (F27)."""
    if (one.kind, one.repository, one.actor) != (other.kind, other.repository, other.actor):
        return False
    payloads = bytes(one.payload), bytes(other.payload)
    return payloads[0] == payloads[1] or msgspec.json.decode(payloads[0]) == msgspec.json.decode(payloads[1])


def told_by(line: RecordedLine) -> bytes:
    """Return what a line tells, however a program that copied it has spaced or ordered it; its time apart."""
    told = (line.sequence, line.kind, line.repository, line.actor, msgspec.json.decode(line.payload))
    return msgspec.json.encode(told, order="sorted")


def sealed(line: RecordedLine) -> RecordedLine:
    """Return a line as it is to be written: with its checksum."""
    return msgspec.structs.replace(line, checksum=_checksum_of(line))


def _checksum_of(line: RecordedLine) -> int:
    return crc32(b"%s %r" % (told_by(line), line.at_milliseconds))


async def read_lines(
    blobs: BlobStore, key: str, on_damage: Callable[[str, str], None]
) -> Sequence[RecordedLine]:
    """Return the facts of one object, sorted; one that the worker compacted and deleted meanwhile has none.

    Lines that can't be read are reported and left out. So is told where the first and the last number are not those of
    the key, as every writer names an object by them: its end is lost, or the whole of it, though no line is torn; facts
    that the key does not cover are left out. A byte of their numbers is damaged, or the object is another one.

    Raises:
        BlobStoreError: the store can't be read.
    """
    texts = await _read_texts(blobs, key)
    if texts is None:
        return []
    named = journal_numbers(key)
    lines: list[RecordedLine] = []
    for number, line in enumerate(_believed(texts), 1):
        if isinstance(line, RecordedLine):
            lines.append(line)
        else:
            on_damage(key, f"line {number}: {line}")
    lines.sort(key=lambda line: line.sequence)
    held = (lines[0].sequence, lines[-1].sequence) if lines else None
    if 0 not in named and held != named:
        on_damage(key, f"it holds {_facts_of(held)} instead of {_facts_of(named)}")
    return [line for line in lines if _covers(named, line.sequence)]


async def _read_texts(blobs: BlobStore, key: str) -> Sequence[bytes] | None:
    """Return the lines of one object as they lie there; `None` where it is gone."""
    try:
        return b"".join([chunk async for chunk in blobs.read(key)]).splitlines()
    except ObjectNotFoundError:
        return None


def _decoded(text: bytes) -> RecordedLine | Exception:
    """Return a line, or why it can't be read.

    Of a payload, which stays as it lies there, nothing but the end was looked for: whoever compares two would meet what
    is wrong with it. Bytes that are no UTF-8 are no error of msgspec's own.
    """
    try:
        line = msgspec.json.decode(text, type=RecordedLine)
        msgspec.json.decode(line.payload, type=dict[str, object])
        if line.checksum is not None and line.checksum != _checksum_of(line):
            return ValueError("its checksum is wrong")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return error
    return line


def _believed(texts: Sequence[bytes]) -> Sequence[RecordedLine | str]:
    """Return of each line of one object what it tells, or why nobody can believe it."""
    decoded = [_decoded(text) for text in texts]
    told: dict[int, RecordedLine] = {}
    contradicted = {
        line.sequence
        for line in decoded
        if isinstance(line, RecordedLine) and not tell_the_same(told.setdefault(line.sequence, line), line)
    }
    return [
        str(line)
        if not isinstance(line, RecordedLine)
        else f"another line tells of another fact {line.sequence}"
        if line.sequence in contradicted
        else line
        for line in decoded
    ]


def _covers(named: tuple[int, int], sequence: int) -> bool:
    """Whether a fact may lie in an object that is named by two numbers; one that is 0 says nothing."""
    return named[0] <= sequence <= (named[1] or _NO_NUMBER)


async def find_unread_parts(blobs: BlobStore, key: str) -> Sequence[UnreadPart]:
    """Return which parts of one object can't be read, as its name and the order of its facts tell.

    Raises:
        BlobStoreError: the store can't be read.
    """
    texts = await _read_texts(blobs, key) if is_key(key) else [b""]
    if texts is None:
        return []
    named = journal_numbers(key)
    if not (named[0] and is_key(key)):
        return _unfound_part(texts)
    parts: list[UnreadPart] = []
    after, torn = named[0] - 1, list[bytes]()
    is_end = 0 not in named
    for text, line in zip(texts, _believed(texts), strict=True):
        if isinstance(line, RecordedLine) and _covers(named, line.sequence):
            parts += _unread_part(after, line.sequence, torn, is_end=is_end)
            after, torn, is_end = line.sequence, [], False
        else:
            torn.append(text)
    before = named[1] + 1 if named[1] else _NO_NUMBER
    parts += _unread_part(after, before, torn, is_end=0 not in named)
    return [
        replace(part, legible=tuple(one for one in part.legible if _covers(named, one))) for part in parts
    ]


def _unread_part(after: int, before: int, torn: Sequence[bytes], *, is_end: bool) -> Iterator[UnreadPart]:
    if torn or (is_end and before - after > 1):
        legible = tuple(int(found[1]) for text in torn if (found := _SEQUENCE.match(text)))
        yield UnreadPart(after, before, legible)


def _unfound_part(texts: Sequence[bytes]) -> Sequence[UnreadPart]:
    """Return what is in an object that no reader opens, as its name is not that of an entry or a segment."""
    lines = [_decoded(text) for text in texts]
    numbers = tuple(line.sequence for line in lines if isinstance(line, RecordedLine))
    if len(numbers) < len(lines):
        return [UnreadPart(0, _NO_NUMBER, ())]
    return [UnreadPart(0, 1, numbers)] if numbers else []


def _facts_of(numbers: tuple[int, int] | None) -> str:
    if numbers is None:
        return "no fact"
    first, last = numbers
    return f"fact {first}" if first == last else f"facts {first} to {last}"


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
    async with aclosing(list_keys(blobs, f"{JOURNAL}{incarnation}/")) as keys:
        async for _ in keys:
            return True
    return False


class JournalReader:
    """Reads one database's journal."""

    def __init__(
        self,
        blobs: BlobStore,
        incarnation: str,
        on_damage: Callable[[str, str], None],
        on_rivals: Callable[[Rivals], None],
    ) -> None:
        """Take a store and whose journal to read.

        `on_damage` is told key and reason of what can't be read, `on_rivals` of each number with more than one fact, of
        which the first one is yielded.
        """
        self._blobs = blobs
        self._incarnation = incarnation
        self._on_damage = on_damage
        self._on_rivals = on_rivals

    async def facts(self, after: int = 0) -> AsyncGenerator[RecordedLine]:
        """Yield the facts with numbers greater than `after`; damage and rivals are told of all.

        Raises:
            BlobStoreError: the store can't be read.
        """
        async with aclosing(self.located(after)) as located:
            async for _, line in located:
                yield line

    async def located(self, after: int = 0) -> AsyncGenerator[tuple[str, RecordedLine]]:
        """Yield the same, each with the key of the object that tells of it.

        Raises:
            BlobStoreError: the store can't be read.
        """
        last: _Opened | None = None
        opened: list[_Opened] = []
        async with aclosing(self._objects()) as objects:
            following = await anext(objects, None)
            while opened or following is not None:
                # Whatever may hold the smallest number has to be open before that is chosen.
                while following is not None and (not opened or following.first <= opened[0].sequence):
                    lines = await read_lines(self._blobs, following.key, self._on_damage)
                    _push(opened, following.key, iter(lines))
                    following = await anext(objects, None)
                if not opened:
                    continue
                next_one = heapq.heappop(opened)
                _push(opened, next_one.key, next_one.rest)
                if last is None or next_one.sequence > last.sequence:
                    last = next_one
                    if next_one.sequence > after:
                        yield next_one.key, next_one.line
                elif next_one.sequence == last.sequence and not tell_the_same(last.line, next_one.line):
                    self._on_rivals(Rivals(last.sequence, last.key, next_one.key))

    async def _objects(self) -> AsyncGenerator[_Object]:
        """Yield entries and segments by their first numbers."""
        prefixes = (
            journal_segment_key(self._incarnation, 0, 0).rpartition("/")[0] + "/",
            journal_entry_key(self._incarnation, 0).rpartition("/")[0] + "/",
        )
        async with (
            aclosing(list_keys(self._blobs, prefixes[0])) as segments,
            aclosing(list_keys(self._blobs, prefixes[1])) as entries,
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
            first, _ = journal_numbers(key)
            if first and is_key(key):
                return _Object(first, key)
            self._on_damage(key, "its name is not that of an entry or segment")
        return None


def _push(opened: list[_Opened], key: str, lines: Iterator[RecordedLine]) -> None:
    """Put what is left of an object into its place."""
    line = next(lines, None)
    if line is not None:
        is_entry = "-" not in key.rpartition("/")[2]
        heapq.heappush(opened, _Opened(line.sequence, is_entry, key, line, lines))
