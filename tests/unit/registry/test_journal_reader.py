"""Reading the journal back: each fact once and in order, however segments and entries lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from entrepot.blobstore.keys import journal_entry_key, journal_segment_key
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.registry.journal_reader import JournalReader, RecordedLine, find_incarnations

if TYPE_CHECKING:
    from collections.abc import Sequence

_INCARNATION = "one"


def _line(sequence: int) -> RecordedLine:
    return RecordedLine(sequence, "tag.delete", "team/app", "alice", msgspec.Raw(b'{"n":1}'), 5)


async def _write_segment(store: MemoryBlobStore, *sequences: int) -> None:
    content = msgspec.json.Encoder().encode_lines([_line(sequence) for sequence in sequences])
    await store.put(journal_segment_key(_INCARNATION, sequences[0], sequences[-1]), content)


async def _write_entry(store: MemoryBlobStore, sequence: int) -> None:
    await store.put(journal_entry_key(_INCARNATION, sequence), msgspec.json.encode(_line(sequence)))


async def _read(store: MemoryBlobStore, after: int = 0) -> tuple[Sequence[int], list[tuple[str, str]]]:
    damaged: list[tuple[str, str]] = []
    reader = JournalReader(store, _INCARNATION, lambda key, reason: damaged.append((key, reason)))
    return [line.sequence async for line in reader.facts(after)], damaged


async def test_overlapping_segments_and_entries_give_each_fact_once_in_order() -> None:
    """A fact that committed late lies in a later segment, and one written twice counts once."""
    store = MemoryBlobStore()
    await _write_segment(store, 1, 2, 4, 9)
    await _write_segment(store, 3, 4, 10)
    await _write_segment(store, 5, 6)
    for sequence in (9, 7, 12):
        await _write_entry(store, sequence)

    assert await _read(store) == ([1, 2, 3, 4, 5, 6, 7, 9, 10, 12], [])


async def test_reading_begins_after_a_number() -> None:
    """What a database knows already is left out."""
    store = MemoryBlobStore()
    await _write_segment(store, 1, 2, 3)
    await _write_entry(store, 4)

    assert await _read(store, after=2) == ([3, 4], [])


async def test_what_cannot_be_read_is_reported_and_left_out() -> None:
    """A damaged line costs itself only, and is named."""
    store = MemoryBlobStore()
    good = msgspec.json.encode(_line(1))
    key = journal_segment_key(_INCARNATION, 1, 3)
    await store.put(key, good + b'\n{"sequence": 2, "ki\n' + msgspec.json.encode(_line(3)) + b"\n")

    found, damaged = await _read(store)

    assert found == [1, 3]
    assert [where for where, _ in damaged] == [key]


async def test_an_empty_journal_has_no_facts() -> None:
    """Nothing was written, nothing is read, and no database is known."""
    store = MemoryBlobStore()

    assert await _read(store) == ([], [])
    assert await find_incarnations(store) == []


async def test_incarnations_are_found_without_reading_their_journals() -> None:
    """Each database that wrote a journal is named once."""
    store = MemoryBlobStore()
    for incarnation in ("b", "a", "ab"):
        await store.put(journal_entry_key(incarnation, 1), b"{}")
        await store.put(journal_segment_key(incarnation, 1, 2), b"{}")

    assert await find_incarnations(store) == ["a", "ab", "b"]
