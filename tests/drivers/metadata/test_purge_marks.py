"""Where the log begins is accounted for on both engines: a cut at its beginning does not pass for a purge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.database_verification import verify_database
from entrepot.audit.errors import AuditExportBrokenOffError
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import FaultKind
from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_operator, host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME
from tests.drivers.metadata.made_up_purges import cut_beginning, lie_about_a_purge
from tests.running.audit_material import BOB, DAY, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.audit.verdict import AuditVerdict
    from entrepot.metadata.audit_store import CheckpointRow
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = KeyInMemory()


async def _sealed(metadata: Metadata, count: int) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number, BOB) for number in range(count)]))
    await Sealer(metadata).run()


async def _age_unsealed(database: RawDatabase, days: int) -> None:
    await database.fetch(f"UPDATE audit_records SET at = at - {days * DAY} WHERE sequence IS NULL")


async def _verdicts(
    metadata: Metadata, directory: Path, kept: list[CheckpointRow]
) -> tuple[AuditVerdict, AuditVerdict]:
    """Return what the database and a signed export of all of it prove."""
    in_database = await verify_database(metadata, kept, [])
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, _KEY, directory), _KEY)
    export = AuditExport(metadata, end)
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    lines = [line + b"\n" async for line in export.lines(begun)]
    return in_database, verify_export(lines, kept, [])


async def test_a_young_beginning_that_is_cut_off_is_found_by_a_kept_checkpoint_8_1_4_3c(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """Even with a made up record of a purge, and no checkpoint left in the database. The first one is named."""
    await _sealed(metadata, 8)
    kept = [await sign_days_ago(metadata, _KEY, sequence, 0) for sequence in (5, 2, 3)]
    await cut_beginning(database, 4)
    await database.fetch("DELETE FROM audit_checkpoints")
    await lie_about_a_purge(metadata, 1, 5)

    for verdict in await _verdicts(metadata, tmp_path, kept):
        assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.TRUNCATED, 2)]
        assert "its beginning was cut off" in verdict.faults[0].message


async def test_a_young_beginning_that_is_cut_off_is_found_by_the_databases_own_checkpoints(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Also where the column of the time, which nobody signed, says that they are old."""
    await _sealed(metadata, 5)
    await sign_days_ago(metadata, _KEY, 3, 179)
    await cut_beginning(database, 4)
    await lie_about_a_purge(metadata, 1, 5)

    young = await verify_database(metadata, [], [])
    await database.fetch(f"UPDATE audit_checkpoints SET at = at - {DAY * 2}")
    changed = await verify_database(metadata, [], [])

    assert [(fault.kind, fault.sequence) for fault in young.faults] == [(FaultKind.TRUNCATED, 3)]
    assert [(fault.kind, fault.sequence) for fault in changed.faults] == [(FaultKind.SIGNATURE, 3)]


async def test_a_cut_is_found_in_an_export_whose_time_somebody_moved_in_the_database(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """An export begins behind the last checkpoint, whose time has a column that nobody signed."""
    await _sealed(metadata, 8)
    kept = [await sign_days_ago(metadata, _KEY, sequence, 0) for sequence in (3, 6)]
    await cut_beginning(database, 4)
    await lie_about_a_purge(metadata, 1, 5)
    await database.fetch("DELETE FROM audit_checkpoints WHERE sequence = 3")
    await database.fetch(f"UPDATE audit_checkpoints SET at = at + {DAY * 200}")

    _, exported = await _verdicts(metadata, tmp_path, kept)

    assert [(fault.kind, fault.sequence) for fault in exported.faults] == [(FaultKind.TRUNCATED, 3)]


@pytest.mark.parametrize(("first", "kept_from"), [(1, 4), (5, 6)])
async def test_a_beginning_that_no_record_of_a_purge_reaches_is_a_fault(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, first: int, kept_from: int
) -> None:
    await _sealed(metadata, 6)
    await cut_beginning(database, 4)
    await lie_about_a_purge(metadata, first, kept_from)

    for verdict in await _verdicts(metadata, tmp_path, []):
        assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.TRUNCATED, 4)]
        assert "no record of a purge tells why" in verdict.faults[0].message


async def test_purges_go_no_further_than_what_was_signed_as_long_ago_and_verify_with_every_checkpoint(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """The record of the first purge is purged by the second one, whose own tells of where the log begins then."""
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number, BOB) for number in range(6)]))
    await _age_unsealed(database, 500)
    await Sealer(metadata).run()
    kept = [await sign_days_ago(metadata, _KEY, sequence, days) for sequence, days in ((2, 400), (4, 300))]
    purge = AuditPurge(metadata, 180)

    plans = [await purge.run(host_operator(), 350)]
    await _age_unsealed(database, 250)
    await Sealer(metadata).run()
    between = await verify_database(metadata, kept, [])
    kept.append(await sign_days_ago(metadata, _KEY, 7, 200))
    plans += [await purge.run(host_operator(), 180), await purge.run(host_operator(), 180)]
    await Sealer(metadata).run()

    assert [(plan.records, plan.last) for plan in plans] == [(2, 2), (5, 7), (0, 7)]
    assert (between.first, between.faults) == (3, ())
    for verdict in await _verdicts(metadata, tmp_path, kept):
        assert (verdict.first, verdict.last, verdict.faults) == (8, 8, ())


async def test_a_purge_removes_nothing_while_every_checkpoint_is_younger(
    metadata: Metadata, database: RawDatabase
) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number, BOB) for number in range(3)]))
    await _age_unsealed(database, 500)
    await Sealer(metadata).run()
    await sign_days_ago(metadata, _KEY, 3, 10)

    assert (await AuditPurge(metadata, 180).plan(180)).records == 0


async def test_there_is_no_export_of_times_behind_a_gap(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """What is missing right before the first record asked for does not pass for other times."""
    await _sealed(metadata, 6)
    await database.fetch("DELETE FROM audit_records WHERE sequence <= 3")

    with pytest.raises(AuditExportBrokenOffError, match=r"record 1 .*: run entrepot audit verify --database"):
        await _verdicts(metadata, tmp_path, [])
