"""Reading the journal back: each fact once and in order, however segments and entries lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.blobstore.keys import journal_entry_key, journal_segment_key
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.registry.journal.reader import JournalReader, RecordedLine, Rivals, find_incarnations
from entrepot.registry.journal.rival_histories import RivalHistories

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
    rivals: list[Rivals] = []
    reader = JournalReader(
        store, _INCARNATION, lambda key, reason: damaged.append((key, reason)), rivals.append
    )
    found = [line.sequence async for line in reader.facts(after)]
    assert rivals == []
    return found, damaged


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


@pytest.mark.parametrize(
    ("key", "held", "told"),
    [
        (journal_segment_key(_INCARNATION, 1, 3), (1, 2), "it holds facts 1 to 2 instead of facts 1 to 3"),
        (journal_segment_key(_INCARNATION, 1, 3), (2, 3), "it holds facts 2 to 3 instead of facts 1 to 3"),
        (journal_segment_key(_INCARNATION, 1, 3), (), "it holds no fact instead of facts 1 to 3"),
        (journal_segment_key(_INCARNATION, 1, 3), (5,), "it holds fact 5 instead of facts 1 to 3"),
        (journal_entry_key(_INCARNATION, 3), (), "it holds no fact instead of fact 3"),
    ],
)
async def test_f11_an_object_that_does_not_hold_what_its_name_says_is_reported(
    key: str, held: Sequence[int], told: str
) -> None:
    """Empty, or cut at the end of a line: no line of it is torn. What it does hold of these counts."""
    store = MemoryBlobStore()
    await store.put(key, msgspec.json.Encoder().encode_lines([_line(sequence) for sequence in held]))

    assert await _read(store) == ([sequence for sequence in held if sequence <= 3], [(key, told)])


async def test_f11_numbers_that_no_fact_got_are_no_damage() -> None:
    """A unit that was rolled back leaves one, inside a segment and between two."""
    store = MemoryBlobStore()
    await _write_segment(store, 2, 5, 7)
    await _write_segment(store, 9)

    assert await _read(store) == ([2, 5, 7, 9], [])


async def test_f47_rivals_are_told_also_of_numbers_that_are_left_out() -> None:
    """Whoever goes on behind a number has taken in one of two facts under it all the same."""
    store = MemoryBlobStore()
    await _write_segment(store, 1, 2, 3)
    other = RecordedLine(2, "tag.delete", "team/app", "mallory", msgspec.Raw(b"{}"))
    await store.put(journal_segment_key(_INCARNATION, 2, 2), msgspec.json.Encoder().encode_lines([other]))
    rivals: list[Rivals] = []

    reader = JournalReader(store, _INCARNATION, lambda key, reason: None, rivals.append)

    assert [line.sequence async for line in reader.facts(2)] == [3]
    assert [one.sequence for one in rivals] == [2]


async def test_f47_a_smaller_number_than_was_read_before_is_no_rival() -> None:
    """As where a file has the name of another one."""
    store = MemoryBlobStore()
    await _write_segment(store, 1, 2)
    key = journal_segment_key(_INCARNATION, 3, 4)
    other = RecordedLine(1, "tag.delete", "team/app", "mallory", msgspec.Raw(b"{}"))
    await store.put(key, msgspec.json.encode(other))

    assert await _read(store) == ([1, 2], [(key, "it holds fact 1 instead of facts 3 to 4")])


async def test_f47_another_fact_under_a_number_is_told_and_the_first_key_counts() -> None:
    """Whatever order they are opened in: the facts of one object are taken, and the other one is named with them."""
    store = MemoryBlobStore()
    encoder = msgspec.json.Encoder()
    other = [
        RecordedLine(number, "tag.delete", "team/app", "mallory", msgspec.Raw(b"{}")) for number in (2, 3, 5)
    ]
    first, second = (journal_segment_key(_INCARNATION, 1, 3), journal_segment_key(_INCARNATION, 2, 5))
    await store.put(second, encoder.encode_lines(other))
    await _write_segment(store, 1, 2, 3)
    await store.put(journal_entry_key(_INCARNATION, 5), msgspec.json.encode(_line(5)))
    rivals = RivalHistories()

    reader = JournalReader(store, _INCARNATION, lambda key, reason: None, rivals.add)
    found = [(line.sequence, line.actor) async for line in reader.facts()]

    assert found == [(1, "alice"), (2, "alice"), (3, "alice"), (5, "mallory")]
    entry = journal_entry_key(_INCARNATION, 5)
    assert dict(rivals.described()) == {
        second: f"tells of other facts 2-3 than {first}, whose are taken",
        entry: f"tells of other facts 5 than {second}, whose are taken",
    }


async def test_of_one_fact_in_an_entry_and_a_segment_the_one_that_knows_its_time_counts() -> None:
    store = MemoryBlobStore()
    bare = RecordedLine(1, "tag.delete", "team/app", "alice", msgspec.Raw(b'{ "n": 1 }'))
    await store.put(journal_entry_key(_INCARNATION, 1), msgspec.json.encode(bare))
    await _write_segment(store, 1)
    rivals: list[Rivals] = []

    reader = JournalReader(store, _INCARNATION, lambda key, reason: None, rivals.append)

    assert [line.at_milliseconds async for line in reader.facts()] == [5]
    assert rivals == []


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
