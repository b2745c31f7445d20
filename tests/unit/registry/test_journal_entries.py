"""Entries and segments of the journal: nothing that lies under a number is ever replaced by something else."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from entrepot.blobstore.keys import journal_entry_key, journal_segment_key
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.metadata.records import JournalFact, OutboxFact
from entrepot.registry.journal.facts import RecordedFact
from entrepot.registry.journal.writer import Journal, JournalConflictError


def _fact(tag: str) -> RecordedFact:
    return RecordedFact(
        7, OutboxFact("tag.delete", "team/app", "alice", f'{{"tag":"{tag}"}}'.encode(), journalled=True)
    )


async def test_an_entry_that_is_written_again_is_the_same() -> None:
    """A reply of the store that was lost is no conflict."""
    store = MemoryBlobStore()
    journal = Journal(store, "one")
    with capture_logs() as logged:
        for _ in range(2):
            await journal.write_entry(_fact("v1"))

    assert logged == []
    assert len(store.objects) == 1


async def test_f47_another_fact_under_the_number_stays_and_is_told() -> None:
    """Two databases that take themselves for one: the entry of the first is kept, the second raises an alarm (F47)."""
    store = MemoryBlobStore()
    await Journal(store, "one").write_entry(_fact("v1"))
    with capture_logs() as logged:
        await Journal(store, "one").write_entry(_fact("v2"))

    assert b'"v1"' in store.objects[journal_entry_key("one", 7)]
    assert [(line["event"], line["log_level"], line["sequence"]) for line in logged] == [
        ("journal.conflict", "error", 7)
    ]


def _facts(*numbers: int, actor: str = "alice", at: int = 5) -> list[JournalFact]:
    return [JournalFact(number, at, "tag.delete", "team/app", actor, b'{"tag":"v1"}') for number in numbers]


@pytest.mark.parametrize("conditional", [True, False])
async def test_f47_another_history_s_segment_is_not_replaced(
    conditional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a store that has no conditional writes: who is to write it is told, and so is whoever listens."""
    store, conflicts = MemoryBlobStore(), list[int]()
    if not conditional:

        async def replace(key: str, data: bytes) -> bool:
            await store.put(key, data)
            return True

        monkeypatch.setattr(store, "put_new", replace)
    key = await Journal(store, "one").write_segment(_facts(1, 2, 3))
    before = store.objects[key]
    with capture_logs() as logged, pytest.raises(JournalConflictError):
        await Journal(store, "one", lambda: conflicts.append(1)).write_segment(
            _facts(1, 2, 3, actor="mallory")
        )

    assert store.objects == {key: before}
    assert [(line["event"], line["sequence"]) for line in logged] == [("journal.conflict", 1)]
    assert conflicts == [1]


async def test_a_segment_that_is_written_again_keeps_what_it_has_and_gets_what_it_lacks() -> None:
    """A worker was killed before the mark; the clock was put right since (F27), and a fact committed in between."""
    store = MemoryBlobStore()
    journal = Journal(store, "one")
    key = await journal.write_segment(_facts(1, 3))
    first = store.objects[key]

    assert await journal.write_segment(_facts(1, 3, at=9)) == key == journal_segment_key("one", 1, 3)
    assert store.objects[key] == first
    await journal.write_segment(_facts(1, 2, 3, at=9))

    lines = store.objects[key].splitlines()
    assert [lines[0], lines[2]] == first.splitlines()
    assert b'"sequence":2' in lines[1]
