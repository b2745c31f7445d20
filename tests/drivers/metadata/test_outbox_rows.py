"""Facts: numbered by the unit that records them, waiting until the journal has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.records import WrittenJournal
from tests.drivers.metadata.material import ALICE, REPOSITORY, fact

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase


async def _append(metadata: Metadata, kind: str, *, journalled: bool = True) -> int:
    return await metadata.write(lambda tx: tx.outbox.append(fact(kind, journalled=journalled)))


async def test_facts_wait_in_the_order_of_their_numbers(metadata: Metadata) -> None:
    numbers = [await _append(metadata, kind) for kind in ("a", "b", "c")]

    waiting = await metadata.outbox.unjournalled(0, 10)

    assert numbers == sorted(set(numbers))
    assert [row.sequence for row in waiting] == numbers
    first = waiting[0]
    assert (first.kind, first.repository, first.actor, first.payload) == ("a", REPOSITORY, ALICE, b'{"n":1}')
    assert first.at_milliseconds > 1_600_000_000_000


async def test_only_facts_for_the_journal_wait(metadata: Metadata) -> None:
    await _append(metadata, "a", journalled=False)
    number = await _append(metadata, "b")

    assert [row.sequence for row in await metadata.outbox.unjournalled(0, 10)] == [number]
    assert await metadata.outbox.unjournalled_count() == 1


async def test_facts_in_the_journal_wait_no_longer(metadata: Metadata) -> None:
    first, second, third = [await _append(metadata, kind) for kind in ("a", "b", "c")]

    await metadata.write(lambda tx: tx.journal.mark_journalled([first, third, third, 999_999]))
    await metadata.write(lambda tx: tx.journal.mark_journalled([first]))
    await metadata.write(lambda tx: tx.journal.mark_journalled([]))

    assert [row.sequence for row in await metadata.outbox.unjournalled(0, 10)] == [second]
    assert await metadata.outbox.unjournalled_count() == 1


async def test_facts_that_a_segment_must_hold_are_read_as_they_are(metadata: Metadata) -> None:
    """A verification compares them with the journal, page by page; what waits is not among them."""
    first, second, third = [await _append(metadata, kind) for kind in ("a", "b", "c")]
    waiting = await metadata.outbox.unjournalled(0, 10)
    await metadata.write(lambda tx: tx.journal.mark_journalled([first, third]))

    found = await metadata.verification.journalled(0, 1)
    following = await metadata.verification.journalled(found[-1].sequence, 10)

    assert [*found, *following] == [row for row in waiting if row.sequence != second]
    assert await metadata.verification.recorded([third + 1, third, second]) == {second, third}


async def test_young_facts_are_left_and_pages_are_bounded(metadata: Metadata, database: RawDatabase) -> None:
    numbers = [await _append(metadata, kind) for kind in ("a", "b", "c")]
    await database.fetch("UPDATE outbox SET at = at - 60000 WHERE kind <> 'c'")

    assert [row.sequence for row in await metadata.outbox.unjournalled(30_000, 10)] == numbers[:2]
    assert [row.sequence for row in await metadata.outbox.unjournalled(0, 1)] == numbers[:1]
    assert await metadata.outbox.unjournalled_count() == 3


async def test_what_was_written_first_and_last_is_known(metadata: Metadata) -> None:
    """The first of all facts for the journal once it lies there, whatever waits behind it, and two segments."""
    await _append(metadata, "never journalled", journalled=False)
    nothing = await metadata.outbox.written()
    first, second = [await _append(metadata, kind) for kind in ("a", "b")]
    await metadata.write(lambda tx: tx.journal.mark_journalled([second]))
    waiting = await metadata.outbox.written()

    async def write(tx: Transaction) -> None:
        await tx.journal.mark_journalled([first])
        for key in ("journal/x/segments/1-2", "journal/x/segments/3-4"):
            await tx.journal.note_segment(key)
        for key in ("journal/x/segments/1-9", "journal/x/segments/1-2000"):
            await tx.journal.note_longest_segment(key)

    await metadata.write(write)
    written = await metadata.outbox.written()
    await metadata.write(lambda tx: tx.journal.forget_segment())

    assert nothing == waiting == WrittenJournal(0, "")
    assert written == WrittenJournal(first, "journal/x/segments/3-4", "journal/x/segments/1-2000")
    assert await metadata.outbox.written() == WrittenJournal(first, "", "journal/x/segments/1-2000")


async def test_what_waits_hides_nothing_that_was_written_f47(metadata: Metadata) -> None:
    """As during each five seconds after a push: the first fact lies in its segment, the last waits for one."""
    first, second, _ = [await _append(metadata, kind) for kind in ("a", "b", "c")]
    await metadata.write(lambda tx: tx.journal.mark_journalled([first, second]))

    assert await metadata.outbox.written() == WrittenJournal(first, "")


async def test_a_number_is_never_given_twice(metadata: Metadata, database: RawDatabase) -> None:
    number = await _append(metadata, "a")
    await database.fetch("DELETE FROM outbox")

    assert await _append(metadata, "b") > number


async def test_a_fact_of_a_failed_unit_never_happened(metadata: Metadata) -> None:
    async def unit(tx: Transaction) -> None:
        await tx.outbox.append(fact())
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await metadata.write(unit)
    assert await metadata.outbox.unjournalled_count() == 0
