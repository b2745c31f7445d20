"""Entries of the journal: nothing that lies under a number is ever replaced by something else."""

from __future__ import annotations

from structlog.testing import capture_logs

from entrepot.blobstore.keys import journal_entry_key
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.metadata.records import OutboxFact
from entrepot.registry.facts import RecordedFact
from entrepot.registry.journal import Journal


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
