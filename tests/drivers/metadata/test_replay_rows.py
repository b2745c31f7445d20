"""What a rebuild does to rows, on each engine: facts under old numbers, times of long ago, marks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.kernel.clock import machine_milliseconds
from entrepot.metadata.errors import HistoryDivergedError
from entrepot.metadata.project_numbers import LastProjectNumber
from entrepot.metadata.records import JournalFact
from tests.drivers.metadata.material import (
    ALICE,
    REPOSITORY,
    digest_of,
    fact,
    new_blob,
    push_blob,
    push_manifest,
)
from tests.running.audit_material import add_team

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

_LONG_AGO: Final = 1_000_000
_FACT: Final = JournalFact(41, _LONG_AGO, "tag.delete", REPOSITORY, ALICE, b'{"tag":"v1"}')


async def _record(metadata: Metadata, recorded: JournalFact) -> bool:
    return await metadata.write(lambda tx: tx.replay.record(recorded))


async def test_a_fact_keeps_number_and_time_and_waits_for_no_journal(
    metadata: Metadata, database: RawDatabase
) -> None:
    """It is in the journal already; recorded again, it is there."""
    assert [await _record(metadata, _FACT), await _record(metadata, _FACT)] == [True, False]

    rows = await database.fetch("SELECT id, at, kind, repository, actor FROM outbox")
    assert rows == [(41, _LONG_AGO, "tag.delete", REPOSITORY, ALICE)]
    assert await metadata.outbox.unjournalled_count() == 0
    assert await metadata.orphans.last_fact() == 41


async def test_a_fact_without_a_time_happened_just_now(metadata: Metadata, database: RawDatabase) -> None:
    """Only an entry told of it."""
    await _record(metadata, replace(_FACT, at_milliseconds=0))

    assert await database.value("SELECT at FROM outbox") > 1_600_000_000_000


@pytest.mark.parametrize(
    "other",
    [
        replace(_FACT, kind="tag.put"),
        replace(_FACT, repository="team/other"),
        replace(_FACT, actor="bob"),
        replace(_FACT, payload=b'{"tag":"v2"}'),
    ],
    ids=["kind", "repository", "actor", "payload"],
)
async def test_another_fact_under_the_number_is_refused(metadata: Metadata, other: JournalFact) -> None:
    """Two histories are not mixed; the same content spaced differently is the same."""
    await _record(metadata, _FACT)

    assert not await _record(metadata, replace(_FACT, payload=b'{ "tag": "v1" }'))
    with pytest.raises(HistoryDivergedError, match="fact 41 "):
        await _record(metadata, other)


async def test_recorded_facts_are_read_in_pages(metadata: Metadata) -> None:
    """Those that the journal holds, and those that wait for it."""
    await _record(metadata, _FACT)
    await metadata.write(lambda tx: tx.replay.number_on(_FACT.sequence))
    waiting = await metadata.write(lambda tx: tx.outbox.append(fact()))

    first, second = await metadata.replay.recorded(40, 5)

    assert (first, second.sequence, second.kind) == (_FACT, waiting, fact().kind)
    assert await metadata.replay.recorded(40, 1) == [first]
    assert await metadata.replay.recorded(first.sequence, 5) == [second]
    assert await metadata.replay.recorded(waiting, 5) == []


@pytest.mark.parametrize("last", [41, 90])
async def test_numbers_go_on_after_what_was_recorded_and_what_was_told(
    metadata: Metadata, database: RawDatabase, last: int
) -> None:
    """Also after numbers that belong to nothing any more; no row is left behind by that."""
    await _record(metadata, _FACT)

    await metadata.write(lambda tx: tx.replay.number_on(last))
    await metadata.write(lambda tx: tx.replay.number_on(last))

    assert await database.count("outbox") == 1
    assert await metadata.write(lambda tx: tx.outbox.append(fact())) > last


async def test_numbers_of_projects_go_on_after_all_that_a_lost_database_gave(
    metadata: Metadata, database: RawDatabase
) -> None:
    """No project of that time had as great a number; a second time in the same second changes nothing."""
    first = await add_team(metadata)
    last = LastProjectNumber.at(machine_milliseconds())

    for again in (last, replace(last, public_id="f" * 32), LastProjectNumber(7, "e" * 32)):
        await metadata.write(lambda tx, again=again: tx.replay.number_projects_on(again))  # type: ignore[misc]  # mypy can't infer a default
    numbers = [await add_team(metadata, name, name) for name in "bc"]

    assert first < last.number < numbers[0] < numbers[1]
    assert await database.value("SELECT count(*) FROM projects WHERE deleted_at IS NULL") == 3


async def test_marks_are_set_changed_and_removed(metadata: Metadata) -> None:
    """An unfinished rebuild is told from a finished one; other databases' journals are remembered by name."""
    assert await metadata.replay.unfinished() is None
    for progress in ("one", "two"):
        await metadata.write(lambda tx, progress=progress: tx.replay.mark_unfinished(progress))  # type: ignore[misc]  # mypy can't infer a default
        assert await metadata.replay.unfinished() == progress
    await metadata.write(lambda tx: tx.replay.mark_catching_up("run"))
    assert await metadata.replay.catching_up() == "run"
    await metadata.write(lambda tx: tx.replay.mark_finished())
    await metadata.write(lambda tx: tx.replay.settle("aaa", 7))
    await metadata.write(lambda tx: tx.replay.settle("bbb", 8))
    await metadata.write(lambda tx: tx.orphans.hold("orphans", 60))

    assert await metadata.replay.unfinished() is None
    assert await metadata.replay.catching_up() == "run"
    await metadata.write(lambda tx: tx.replay.mark_caught_up())
    assert await metadata.replay.catching_up() is None
    assert await metadata.replay.ended_run() is None
    for run in ("one", "two"):
        await metadata.write(lambda tx, run=run: tx.replay.mark_ended(run))  # type: ignore[misc]  # as above
        assert await metadata.replay.ended_run() == run
    assert await metadata.replay.settled() == {"aaa": 7, "bbb": 8}


async def test_a_database_becomes_another(metadata: Metadata, database: RawDatabase) -> None:
    """From then on journal keys begin with the other's name."""
    before = await metadata.instance.incarnation()
    await metadata.write(lambda tx: tx.replay.take_incarnation("0" * 32))
    assert await metadata.instance.incarnation() == "0" * 32
    await metadata.write(lambda tx: tx.replay.take_incarnation(before))


async def test_things_get_older_never_younger(metadata: Metadata, database: RawDatabase) -> None:
    """A second, later time changes nothing but the last change of a tag."""
    digest = await push_manifest(metadata)
    await push_blob(metadata, "a")
    blob_id = await database.value("SELECT id FROM blobs")
    repository_id = await database.value("SELECT id FROM repositories")

    async def unit(tx: Transaction) -> None:
        for at in (_LONG_AGO, _LONG_AGO + 5):
            await tx.replay.date_repository(repository_id, at)
            await tx.replay.date_link(repository_id, blob_id, at)
            await tx.replay.date_manifest(repository_id, digest, at)
            await tx.replay.date_tag(repository_id, "v1", at)

    await metadata.write(unit)

    for query in (
        "SELECT created_at FROM repositories",
        "SELECT created_at FROM projects",
        "SELECT created_at FROM blobs",
        "SELECT linked_at FROM repository_blobs",
        "SELECT created_at FROM manifests",
        "SELECT created_at FROM tags",
    ):
        assert await database.value(query) == _LONG_AGO, query
    assert await database.value("SELECT updated_at FROM tags") == _LONG_AGO + 5
    assert await database.value("SELECT at FROM tag_history") == _LONG_AGO + 5


async def test_a_blobs_row_is_told_where_its_bytes_lie_now(metadata: Metadata) -> None:
    """Rows are found by digest, whatever repositories link to them."""
    key = await push_blob(metadata, "a")
    digests = [digest_of("a"), digest_of("none")]
    assert await metadata.replay.blob_keys(digests) == {digests[0]: key}

    await metadata.write(lambda tx: tx.replay.repoint_blob(digests[0], "blobs/elsewhere"))

    assert await metadata.replay.blob_keys(digests) == {digests[0]: "blobs/elsewhere"}
    adopted = await metadata.write(lambda tx: tx.blobs.adopt(new_blob("a")))
    assert adopted.storage_key == "blobs/elsewhere"
