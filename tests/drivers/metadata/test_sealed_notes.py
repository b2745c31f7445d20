"""Notes get their places in the chain when they are taken into the database, beside records that are sealed later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit import drain as drain_module
from entrepot.audit.chain import UnknownChainAlgorithmError
from entrepot.audit.database_verification import verify_database
from entrepot.audit.drain import AuditDrain
from entrepot.audit.errors import AuditPlacesTakenError
from entrepot.audit.sealer import NewChain, Sealer, add_sealed
from entrepot.audit.spool import AuditSpool
from entrepot.metadata.audit_store import AuditFilter
from entrepot.metadata.sql.opening import open_metadata
from tests.running.audit_material import pull_record

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def _noted(directory: Path, count: int) -> None:
    spool = AuditSpool(directory, "none", lambda: None)
    for number in range(count):
        await spool.note(pull_record(number))
    await spool.aclose()


async def test_a_drained_note_is_sealed_at_once_and_a_repeated_one_leaves_no_gap_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    spool = AuditSpool(tmp_path / "spool", "none", lambda: None)
    drain = AuditDrain(tmp_path / "spool", metadata, "node")
    for number in range(5):
        await spool.note(pull_record(number))
    await drain.run()
    assert await metadata.audit.unsealed_count() == 0
    (segment,) = (tmp_path / "spool").iterdir()
    await metadata.write(lambda tx: tx.audit_chain.forget_spool("node", segment.name))
    await spool.note(pull_record(5))
    await spool.aclose()

    assert (await drain.run()).records == 6

    assert [link.sequence for link in await metadata.audit.links(0, 100)] == [1, 2, 3, 4, 5, 6]
    verdict = await verify_database(metadata, [], [])
    assert (verdict.records, verdict.unsealed, verdict.faults) == (6, 0, ())


async def test_a_note_that_comes_twice_in_one_batch_is_kept_once_i11(metadata: Metadata) -> None:
    dated = msgspec.structs.replace(pull_record(0), at_milliseconds=7)

    await metadata.write(lambda tx: add_sealed(tx, NewChain.make(), [dated, dated]))

    (link,) = await metadata.audit.links(0, 100)
    assert (link.sequence, link.at) == (1, 7)
    assert (await verify_database(metadata, [], [])).is_sound


async def test_notes_go_on_where_the_sealer_ended_and_it_goes_on_behind_them(
    metadata: Metadata, tmp_path: Path
) -> None:
    await metadata.write(lambda tx: tx.audit.append(pull_record(0)))
    await Sealer(metadata).run()
    await metadata.write(lambda tx: tx.audit.append(pull_record(1)))
    await _noted(tmp_path / "spool", 3)
    await AuditDrain(tmp_path / "spool", metadata, "node").run()

    assert await metadata.audit.unsealed_count() == 1
    assert await Sealer(metadata).run() == 1

    verdict = await verify_database(metadata, [], [])
    assert (verdict.records, verdict.unsealed, verdict.faults) == (5, 0, ())


async def test_nodes_that_drain_while_another_seals_make_one_chain(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    other = await open_metadata(database.url, 4, 10.0)
    try:
        for turn in range(3):
            for node in ("one", "two"):
                await _noted(tmp_path / node, 20)
            await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(20)]))
            await asyncio.gather(
                AuditDrain(tmp_path / "one", metadata, "one").run(),
                AuditDrain(tmp_path / "two", other, "two").run(),
                Sealer(other, batch=7).run(),
            )
            await Sealer(metadata).run()
            assert await metadata.audit.count(AuditFilter()) == 60 * (turn + 1)
    finally:
        await other.aclose()

    verdict = await verify_database(metadata, [], [])
    assert (verdict.records, verdict.unsealed, verdict.faults) == (180, 0, ())


async def test_notes_stay_in_their_files_when_a_newer_program_made_the_chain_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """Or who owns the database says so, to have rows that he can remove before they are sealed."""
    await metadata.write(lambda tx: tx.audit.append(pull_record(0)))
    await Sealer(metadata).run()
    await database.fetch("UPDATE audit_chain SET algorithm = 'sha512'")
    await _noted(tmp_path / "spool", 3)

    drain = AuditDrain(tmp_path / "spool", metadata, "node")
    with pytest.raises(UnknownChainAlgorithmError, match="sha512"):
        await drain.run()
    assert await metadata.audit.count(AuditFilter()) == 1
    await database.fetch("UPDATE audit_chain SET algorithm = 'sha256'")

    assert (await drain.run()).records == 3

    assert await metadata.audit.unsealed_count() == 0
    assert await metadata.audit.count(AuditFilter()) == 4


@pytest.mark.parametrize("what", ["row", "end"])
async def test_nothing_is_added_where_a_record_stands_behind_the_end_and_it_is_said_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, what: str
) -> None:
    """A row was made up, or the end was set back: notes stay in their files, others unsealed, until people decide."""
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(3)]))
    await Sealer(metadata).run()
    before = await metadata.audit.links(0, 100)
    if what == "row":
        await metadata.write(lambda tx: tx.audit.append(pull_record(3)))
        await database.fetch(
            "UPDATE audit_records SET sequence = 5, chain_hash = 'made up' WHERE sequence IS NULL"
        )
        undo = "DELETE FROM audit_records WHERE sequence = 5"
    else:
        await database.fetch(f"UPDATE audit_chain SET sequence = 1, chain_hash = '{before[0].chain_hash}'")
        undo = f"UPDATE audit_chain SET sequence = 3, chain_hash = '{before[2].chain_hash}'"
    await metadata.write(lambda tx: tx.audit.append(pull_record(4)))
    await _noted(tmp_path / "spool", 2)
    drain = AuditDrain(tmp_path / "spool", metadata, "node")

    said = (
        "ends with record 3.* a record 5 behind"
        if what == "row"
        else "ends with record 1.* a record 2 behind"
    )
    with pytest.raises(AuditPlacesTakenError, match=said):
        await drain.run()
    with pytest.raises(AuditPlacesTakenError, match=said):
        await Sealer(metadata).run()
    assert not (await verify_database(metadata, [], [])).is_sound
    await database.fetch(undo)

    assert (await drain.run()).records == 2
    assert await Sealer(metadata).run() == 1

    assert list(await metadata.audit.links(0, 3)) == list(before)
    verdict = await verify_database(metadata, [], [])
    assert (verdict.records, verdict.unsealed, verdict.faults) == (6, 0, ())


@pytest.mark.parametrize("taken", [0, 2])
async def test_a_cursor_that_somebody_moved_on_hides_no_note_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, taken: int
) -> None:
    """Who owns the database would else have the rest of a file removed with what is in it."""
    spool = AuditSpool(tmp_path / "spool", "none", lambda: None)
    drain = AuditDrain(tmp_path / "spool", metadata, "node")
    for number in range(5):
        await spool.note(pull_record(number))
        if number + 1 == taken:
            await drain.run()
    (segment,) = (tmp_path / "spool").iterdir()
    await metadata.write(lambda tx: tx.audit_chain.move_spool_cursor("node", segment.name, 2_000_000))

    assert (await drain.run()).records == 5 - taken
    await database.fetch("UPDATE audit_spools SET byte_offset = 2000000")
    await spool.aclose()
    await AuditDrain(tmp_path / "spool", metadata, "node").run()

    assert await metadata.audit.count(AuditFilter()) == 5
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("offset", [-1, -(2**63)])
async def test_a_cursor_that_somebody_moved_before_the_beginning_stops_no_drain_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, offset: int
) -> None:
    spool = AuditSpool(tmp_path / "spool", "none", lambda: None)
    drain = AuditDrain(tmp_path / "spool", metadata, "node")
    await spool.note(pull_record(0))
    await drain.run()
    await database.fetch(f"UPDATE audit_spools SET byte_offset = {offset}")
    await spool.note(pull_record(1))
    await spool.aclose()

    await drain.run()

    assert await metadata.audit.count(AuditFilter()) == 2
    assert list((tmp_path / "spool").iterdir()) == []


async def test_a_file_that_is_copied_in_is_not_removed_before_it_is_whole_i11(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody locks it, so it looks ended from its first byte on. What is there of it is taken over at once."""
    await _noted(tmp_path / "dead", 100)
    (source,) = (tmp_path / "dead").iterdir()
    content, target = source.read_bytes(), tmp_path / "alive"
    target.mkdir()
    passed = [0.0]
    monkeypatch.setattr(drain_module, "monotonic", lambda: passed[0])
    drain = AuditDrain(target, metadata, "node", rest_seconds=60.0)
    counted: list[int] = []
    with (target / source.name).open("wb", 0) as file:
        for piece in (content[: len(content) // 2], content[len(content) // 2 : -100], content[-100:]):
            file.write(piece)
            for _ in range(2):
                passed[0] += 59.0
                await drain.run()
            counted.append(await metadata.audit.count(AuditFilter()))
            passed[0] -= 59.0

    assert counted == [50, 99, 100]
    assert list(target.iterdir()) == [target / source.name]
    passed[0] += 61.0
    await drain.run()
    assert list(target.iterdir()) == []


async def test_a_file_whose_writer_was_met_goes_as_soon_as_it_is_done_with(
    metadata: Metadata, tmp_path: Path
) -> None:
    spool = AuditSpool(tmp_path / "spool", "none", lambda: None)
    drain = AuditDrain(tmp_path / "spool", metadata, "node", rest_seconds=60.0)
    await spool.note(pull_record(0))
    await drain.run()
    await spool.aclose()

    await drain.run()

    assert list((tmp_path / "spool").iterdir()) == []
