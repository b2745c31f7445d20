"""Rows of the audit log that are in no chain, or in no list, are named on both engines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.audit.chain import NoLinkError, link_hash
from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.database_verification import verify_database
from entrepot.audit.erasure import AuditErasure
from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.grants import SystemGrant
from entrepot.auth.host import host_operator
from entrepot.auth.system_actions import DeleteUser
from entrepot.metadata.audit_store import END_OF_TIME, AuditFilter, AuditPageQuery
from tests.drivers.metadata.forged_rows import FORGED, any_numbers, forge, literal
from tests.running.audit_material import ALICE, BOB, DAY, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def _sealed(metadata: Metadata, count: int) -> None:
    records = [pull_record(number, (ALICE, BOB)[number % 2]) for number in range(count)]
    await metadata.write(lambda tx: tx.audit.extend(records))
    await Sealer(metadata).run()


async def _named(metadata: Metadata) -> list[tuple[str, int, str]]:
    """Return what is wrong, as which record, by which id."""
    verdict = await verify_database(metadata, [], [])
    return [(fault.kind.value, fault.sequence, fault.record_id) for fault in verdict.faults]


async def _id_of(database: RawDatabase, sequence: int) -> Any:
    return await database.value(f"SELECT record_id FROM audit_records WHERE sequence = {sequence}")


@pytest.mark.parametrize("sequence", [-1, 0])
async def test_a_row_with_a_place_before_the_chain_is_named(
    metadata: Metadata, database: RawDatabase, sequence: int
) -> None:
    """Lists show it as any other; only nobody sealed it."""
    await _sealed(metadata, 3)
    await forge(database, pull_record(7, ALICE), key=900, sequence=sequence)

    shown = await metadata.audit.page(AuditPageQuery(AuditFilter(user="alice"), 10))
    assert FORGED in [row.record_id for row in shown]
    assert await _named(metadata) == [("stray", sequence, FORGED)]


async def test_a_row_with_the_place_of_a_purged_one_is_named(
    metadata: Metadata, database: RawDatabase
) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(4)]))
    await database.fetch(f"UPDATE audit_records SET at = at - {400 * DAY}")
    await Sealer(metadata).run()
    await sign_days_ago(metadata, KeyInMemory(), 3, 300)
    assert (await AuditPurge(metadata, 180).run(host_operator(), 200)).last == 3
    await Sealer(metadata).run()
    assert await _named(metadata) == []

    await forge(database, pull_record(7, ALICE), key=900, sequence=2)

    assert await _named(metadata) == [("stray", 2, FORGED)]


@pytest.mark.parametrize("key", [-7, 0, END_OF_TIME])
async def test_a_sealed_record_whose_number_hides_it_from_lists_is_named(
    metadata: Metadata, database: RawDatabase, key: int
) -> None:
    await _sealed(metadata, 4)
    record_id = await _id_of(database, 3)
    async with any_numbers(database):
        await database.fetch(f"UPDATE audit_records SET id = {key} WHERE sequence = 3")

    assert await _named(metadata) == [("changed", 3, record_id)]


@pytest.mark.parametrize("key", [-7, END_OF_TIME])
async def test_a_waiting_record_whose_number_hides_it_from_lists_is_named(
    metadata: Metadata, database: RawDatabase, key: int
) -> None:
    await _sealed(metadata, 2)
    await forge(database, pull_record(7, ALICE), key=key, sequence=None)

    assert await _named(metadata) == [("stray", 0, FORGED)]


async def test_a_row_that_is_linked_behind_the_end_of_the_chain_is_named(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Its link is right: that takes no secret."""
    await _sealed(metadata, 2)
    chain = await metadata.audit.chain()
    assert chain is not None
    record = pull_record(7, ALICE)
    await forge(database, record, key=900, sequence=3)
    link = link_hash(chain.algorithm, chain.chain_hash, 3, FORGED, 1790000000000, record.body)
    await database.fetch(f"UPDATE audit_records SET chain_hash = '{link}' WHERE sequence = 3")

    assert await _named(metadata) == [("stray", 3, FORGED)]


async def test_an_end_of_the_chain_that_is_not_the_last_link_is_a_fault(
    metadata: Metadata, database: RawDatabase
) -> None:
    """The next record would be linked to it."""
    await _sealed(metadata, 2)
    await database.fetch(f"UPDATE audit_chain SET chain_hash = '{'0' * 64}'")

    assert await _named(metadata) == [("changed", 2, "")]


async def test_sealed_records_without_a_chain_are_named(metadata: Metadata, database: RawDatabase) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(2)]))
    assert await _named(metadata) == []
    await Sealer(metadata).run()
    ids = [await _id_of(database, sequence) for sequence in (1, 2)]
    await database.fetch("DELETE FROM audit_chain")

    assert sorted(await _named(metadata)) == [("stray", 1, ids[0]), ("stray", 2, ids[1])]


@pytest.mark.parametrize("change", ["user_name = 'bob'", "object_name = 'team/other'", "body = {other}"])
async def test_a_record_that_waits_and_shows_something_else_is_named(
    metadata: Metadata, database: RawDatabase, change: str
) -> None:
    await _sealed(metadata, 2)
    record = pull_record(7, ALICE)
    await metadata.write(lambda tx: tx.audit.append(record))
    other = literal(database, b"[]")
    await database.fetch(f"UPDATE audit_records SET {change.format(other=other)} WHERE sequence IS NULL")

    assert await _named(metadata) == [("changed", 0, record.record_id)]


async def test_a_record_that_waits_for_long_is_told_and_no_fault(
    metadata: Metadata, database: RawDatabase
) -> None:
    """As what a command did while no registry runs."""
    await _sealed(metadata, 2)
    records = [pull_record(number) for number in (3, 4)]
    await metadata.write(lambda tx: tx.audit.extend(records))
    fresh = await verify_database(metadata, [], [])
    await database.fetch(
        f"UPDATE audit_records SET at = at - 90000 WHERE record_id = '{records[1].record_id}'"
    )
    old = await verify_database(metadata, [], [])

    assert (fresh.unsealed, fresh.waiting_since, fresh.waiting_record) == (2, None, "")
    assert (old.unsealed, old.waiting_record, old.faults) == (2, records[1].record_id, ())
    assert old.waiting_since == await database.value(
        f"SELECT at FROM audit_records WHERE record_id = '{records[1].record_id}'"
    )


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("500", ("dropped", 500)),
        ("501", ("dropped", 501)),
        ("20.5", ("stray", 21)),
        ("'a place'", ("stray", 503)),
    ],
)
async def test_what_a_file_without_its_types_and_indexes_holds_is_named(
    metadata: Metadata, database: RawDatabase, engine: str, place: str, fault: tuple[str, int]
) -> None:
    """Places that are taken twice, also where the next batch of rows begins, are no whole numbers, or are texts."""
    await _sealed(metadata, 502)
    names = [row[1] for row in await database.fetch("PRAGMA table_info(audit_records)")]
    assert names[0] == "id"
    await database.fetch(f"CREATE TABLE loose (id INTEGER PRIMARY KEY, {', '.join(names[1:])})")
    await database.fetch("INSERT INTO loose SELECT * FROM audit_records")
    await database.fetch("DROP TABLE audit_records")
    await database.fetch("ALTER TABLE loose RENAME TO audit_records")
    assert await _named(metadata) == []

    await forge(database, pull_record(7, ALICE), key=900, sequence=None)
    await database.fetch(f"UPDATE audit_records SET sequence = {place}, chain_hash = '' WHERE id = 900")

    assert await _named(metadata) == [(*fault, FORGED)]


async def test_an_erasure_steps_by_the_rows_there_are_whatever_their_numbers(
    metadata: Metadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stepping by numbers would take for ever, once who owns the database has set a great one."""
    monkeypatch.setattr("entrepot.audit.erasure._BATCH_ROWS", 2)
    await _sealed(metadata, 6)
    await forge(database, pull_record(7, ALICE), key=2**61, sequence=None)
    async with any_numbers(database):
        for key, sequence in ((-5, 1), (2**60, 3)):
            await database.fetch(f"UPDATE audit_records SET id = {key} WHERE sequence = {sequence}")
    erasure, grant = AuditErasure(metadata), SystemGrant(DeleteUser, BOB)

    async with asyncio.timeout(60):
        counted = await erasure.count(grant, ALICE.subject)
        erased = await erasure.erase(grant, ALICE.subject)

    assert (counted, erased, await erasure.count(grant, ALICE.subject)) == (4, 4, 0)
    left = await database.value(
        f"SELECT count(*) FROM audit_records WHERE subject = '{BOB.subject}' AND disclosure IS NOT NULL"
    )
    assert left == 4


async def test_a_beginning_of_the_chain_that_is_no_link_is_named_i11(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _sealed(metadata, 3)
    await database.fetch("DELETE FROM audit_records WHERE sequence = 1")
    await database.fetch("UPDATE audit_chain SET purged_sequence = 1, purged_hash = 'no link'")

    assert (await _named(metadata))[0] == ("changed", 1, "")


async def test_an_end_of_the_chain_that_is_no_link_is_told_by_who_seals_and_no_export_fails_for_it_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """What was signed before can be exported; the log and the export's verdict say what is wrong."""
    key = KeyInMemory()
    await _sealed(metadata, 3)
    kept = await sign_days_ago(metadata, key, 3, 1)
    await database.fetch("UPDATE audit_chain SET chain_hash = 'no link'")
    await metadata.write(lambda tx: tx.audit.append(pull_record(8)))

    with pytest.raises(NoLinkError, match="run entrepot audit verify --database"):
        await Sealer(metadata).run()
    reason = await SignedEnd(Sealer(metadata), Checkpoints(metadata, key, tmp_path), key).sign()
    assert "run entrepot audit verify --database" in reason
    assert ("changed", 3, "") in await _named(metadata)
    assert kept.sequence == 3
