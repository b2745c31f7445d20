"""What a purge removes goes by when it was signed, whatever single clocks said meanwhile, on both engines (F27)."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.database_verification import verify_database
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import FaultKind
from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_operator, host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME, CheckpointRow
from tests.drivers.metadata.made_up_purges import cut_beginning, lie_about_a_purge
from tests.running.audit_material import BOB, DAY, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.audit.verdict import AuditVerdict
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = KeyInMemory()
_FAR = 2_208_988_800_000
"""In 2040."""


async def _seal(metadata: Metadata, record: NewAuditRecord) -> None:
    await metadata.write(lambda tx: tx.audit.append(record))
    await Sealer(metadata).run()


async def _log(metadata: Metadata, days_ago: Sequence[float], *ahead: int) -> list[CheckpointRow]:
    """Add a record for each checkpoint, signed so many days ago; those of some numbers are of a node in 2040."""
    now = await metadata.diagnosis.clock_milliseconds()
    for number, days in enumerate(days_ago, 1):
        at = _FAR if number in ahead else now - int(days * DAY) - 1000
        record = msgspec.structs.replace(pull_record(number, BOB), at_milliseconds=at)
        await _seal(metadata, record)
    return [await sign_days_ago(metadata, _KEY, number, days) for number, days in enumerate(days_ago, 1)]


async def _verdicts(
    metadata: Metadata, directory: Path, kept: list[CheckpointRow]
) -> tuple[AuditVerdict, AuditVerdict]:
    """Return what the database and a signed export of all of it prove."""
    await Sealer(metadata).run()
    in_database = await verify_database(metadata, kept, [])
    export = AuditExport(metadata, SignedEnd(Sealer(metadata), Checkpoints(metadata, _KEY, directory), _KEY))
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    lines = [line + b"\n" async for line in export.lines(begun)]
    return in_database, verify_export(lines, kept, [])


async def test_a_note_of_a_node_in_2040_holds_no_purge_up_f27(metadata: Metadata, tmp_path: Path) -> None:
    """Nor does one that the first checkpoint covers; records whose checkpoint is young stay."""
    kept = await _log(metadata, [400, 300, 200, 20], 1, 2)

    plan = await AuditPurge(metadata, 180).run(host_operator(), 180)

    assert (plan.records, plan.last, plan.held_by) == (3, 3, 4)
    for verdict in await _verdicts(metadata, tmp_path, kept):
        assert (verdict.first, verdict.faults) == (4, ())


async def test_a_checkpoint_of_2040_holds_no_purge_up_when_the_log_shows_it_to_be_dated_ahead_f27(
    metadata: Metadata, tmp_path: Path
) -> None:
    """And what was purged with it is no cut for who kept it."""
    kept = await _log(metadata, [401, -5000, *range(400, 190, -20), 10])
    last = len(kept) - 1

    plan = await AuditPurge(metadata, 180).run(host_operator(), 180)

    assert (plan.records, plan.last, plan.held_by) == (last, last, last + 1)
    for verdict in await _verdicts(metadata, tmp_path, kept):
        assert (verdict.first, verdict.faults) == (last + 1, ())


@pytest.mark.parametrize("days_ago", [[401, 150, 390, 300, 10], [401, 20, 9000, 8999, 10]])
async def test_what_could_be_young_stays_and_a_cut_of_it_is_found_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, days_ago: list[float]
) -> None:
    """Where a few times contradict one another, and those of a clock in the past may be the wrong ones."""
    kept = await _log(metadata, days_ago)

    plan = await AuditPurge(metadata, 180).plan(180)
    assert (plan.last, plan.held_by) == (1, 2)

    await cut_beginning(database, 4)
    await lie_about_a_purge(metadata, 1, 5)
    for verdict in await _verdicts(metadata, tmp_path, kept):
        assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.TRUNCATED, 2)]


async def test_a_purge_by_a_database_whose_clock_is_ahead_of_the_hosts_removes_nothing_young_f27(
    metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as a week; else the clock of the machine that purges counts."""
    await _log(metadata, [186, 170, 20])
    now = await metadata.diagnosis.clock_milliseconds()
    purge, planned = AuditPurge(metadata, 180), list[int]()
    for days in (0, 5, 20, 400):
        monkeypatch.setattr("time.time_ns", lambda days=days: (now - days * DAY) * 1_000_000)
        planned.append((await purge.plan(180)).last)

    assert planned == [1, 1, 0, 0]


async def test_times_that_somebody_writes_into_the_database_age_no_record(
    metadata: Metadata, database: RawDatabase
) -> None:
    """A checkpoint that does not say what was signed counts as none, as does one of a later record."""
    await _log(metadata, [200, 20, 10])
    await database.fetch(f"UPDATE audit_checkpoints SET at = at - {300 * DAY}")
    plans = [await AuditPurge(metadata, 180).plan(180)]
    await database.fetch(f"UPDATE audit_checkpoints SET at = at + {300 * DAY} WHERE sequence < 3")
    plans.append(await AuditPurge(metadata, 180).plan(180))

    assert [(plan.last, plan.held_by) for plan in plans] == [(0, 0), (1, 2)]


async def test_a_purge_holds_few_checkpoints_at_a_time_and_judges_by_all(
    metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year has 100,000 of them; the run that proves one to be dated ahead spans all pages."""
    monkeypatch.setattr("entrepot.audit.checkpoints._PAGE", 2)
    last = len(await _log(metadata, [401, -5000, *range(400, 190, -20), 10, 5])) - 2
    before = _rows_in_memory()
    counted, held = list[int](), list[int]()

    def count(checkpoints: int) -> None:
        counted.append(checkpoints)
        held.append(_rows_in_memory() - before)

    plan = await AuditPurge(metadata, 180, count).plan(180)

    assert (plan.records, plan.last, plan.held_by) == (last, last, last + 1)
    assert counted == [2] * (len(counted) - 1) + [1]
    assert sum(counted) == last + 2
    assert max(held) <= 2 * 2


def _rows_in_memory() -> int:
    gc.collect()
    return sum(isinstance(one, CheckpointRow) for one in gc.get_objects())
