"""The numbers in the names of a journal's objects, and where those of some facts are listed."""

from __future__ import annotations

import pytest

from entrepot.blobstore.keys import journal_entry_key, journal_numbers, journal_segment_key
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.registry.journal.listing import (
    SEGMENT_SPAN,
    find_longest_segment,
    list_folder,
    span_of,
    starts_after,
)


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
@pytest.mark.parametrize("span", [None, SEGMENT_SPAN, 5_000])
async def test_no_fact_after_a_number_is_left_out(number: int, span: int | None) -> None:
    """A segment that begins before a number may end after it."""
    store = MemoryBlobStore()
    begins = [] if span is None else [number + 1, number, max(number + 2 - span, 1)]
    after = [
        journal_entry_key("one", number + 1),
        *(journal_segment_key("one", max(begin, 1), number + 1) for begin in begins),
    ]
    for key in (*after, journal_entry_key("one", number), journal_entry_key("other", number + 1)):
        await store.put(key, b"")

    found = [key for start in starts_after("one", number, span) async for key in list_folder(store, start)]

    assert set(found) == set(after)


async def test_the_segment_that_covers_most_is_found_by_one_listing_for_each_journal() -> None:
    """As long as there was none nothing is known, since the right volume may come; other names count for nothing."""
    store, longest = MemoryBlobStore(), journal_segment_key("one", 4, 15_009)
    assert await find_longest_segment(store, "one") == ""
    for key in (
        longest,
        journal_segment_key("one", 5, 9),
        journal_segment_key("two", 1, 20_000),
        "journal/one/segments/00000000000000000004-00000000000000090000.bak",
        "journal/one/segments/-00000000000000090000",
    ):
        await store.put(key, b"")

    assert (await find_longest_segment(store, "one"), span_of(longest)) == (longest, 15_006)
    await store.delete(longest)
    assert await find_longest_segment(store, "one") == longest
    assert await find_longest_segment(MemoryBlobStore(), "one") == ""
