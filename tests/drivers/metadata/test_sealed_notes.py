"""Notes get their places in the chain when they are taken into the database, beside records that are sealed later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit.chain import UnknownChainAlgorithmError
from entrepot.audit.database_verification import verify_database
from entrepot.audit.drain import AuditDrain
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
