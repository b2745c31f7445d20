"""The numbers in the names of a journal's objects, and where those of some facts are listed."""

from __future__ import annotations

import pytest

from entrepot.blobstore.keys import journal_entry_key, journal_numbers, journal_segment_key
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.registry.journal.listing import list_folder, starts_after


@pytest.mark.parametrize(
    ("key", "numbers"),
    [
        (journal_entry_key("one-2", 7), (7, 7)),
        (journal_segment_key("one", 7, 1_900), (7, 1_900)),
        (journal_segment_key("one", 7, 7), (7, 7)),
        ("journal/one/segments/00007-00009.part", (7, 0)),
        ("journal/one/entries/.hidden", (0, 0)),
        ("journal/one/entries/", (0, 0)),
        ("journal/one/segments/-", (0, 0)),
    ],
)
def test_a_name_tells_its_first_and_its_last_number(key: str, numbers: tuple[int, int]) -> None:
    """0 for what none of our programs named so."""
    assert journal_numbers(key) == numbers


@pytest.mark.parametrize("number", [0, 5, 1_999, 2_001, 9_000])
@pytest.mark.parametrize("in_entries_alone", [False, True])
async def test_no_fact_after_a_number_is_left_out(number: int, in_entries_alone: bool) -> None:
    """A segment that begins before a number may end after it."""
    store = MemoryBlobStore()
    after = [
        journal_entry_key("one", number + 1),
        *(journal_segment_key("one", max(number - before, 1), number + 1) for before in (0, 1_998)),
    ]
    for key in (*after, journal_entry_key("one", number), journal_entry_key("other", number + 1)):
        await store.put(key, b"")

    found = [
        key
        for start in starts_after("one", number, in_entries_alone=in_entries_alone)
        async for key in list_folder(store, start)
    ]

    assert set(found) == {key for key in after if not in_entries_alone or "/entries/" in key}
