"""The end of the log is signed on both engines though a clock that was ahead has been set back (F27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME
from entrepot.observability.metrics import build_metrics
from entrepot.workers.audit_upkeep import audit_checkpoint_duty
from tests.running.audit_material import DAY, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = KeyInMemory()


async def _add(metadata: Metadata, count: int) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(count)]))
    await Sealer(metadata).run()


async def test_a_checkpoint_of_a_time_to_come_holds_up_no_other_f27(
    metadata: Metadata, tmp_path: Path
) -> None:
    """It is signed what time it is, and the next one waits for its period again, in whatever process."""
    await _add(metadata, 2)
    await sign_days_ago(metadata, _KEY, 2, -1)
    checkpoints, other = (Checkpoints(metadata, _KEY, tmp_path) for _ in range(2))
    signed: list[bool] = [await checkpoints.run(300)]

    for each in (checkpoints, checkpoints, other):
        await _add(metadata, 1)
        signed.append(await each.run(300))

    assert signed == [False, True, False, False]
    kept, now = await metadata.audit.checkpoints(1, 10), await metadata.diagnosis.clock_milliseconds()
    assert [(each.sequence, (each.at - now) // DAY) for each in kept] == [(2, 0), (3, -1)]


async def test_an_export_from_before_a_clock_was_set_back_stays_sound_f27(
    metadata: Metadata, tmp_path: Path
) -> None:
    """A checkpoint that is made later is not one that the export had to reach."""
    await _add(metadata, 2)
    await sign_days_ago(metadata, _KEY, 2, -1)
    checkpoints = Checkpoints(metadata, _KEY, tmp_path)
    export = AuditExport(metadata, SignedEnd(Sealer(metadata), checkpoints, _KEY))
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    lines = [line + b"\n" async for line in export.lines(begun)]

    await _add(metadata, 3)
    assert await checkpoints.run(0)

    kept = await metadata.audit.checkpoints(1, 10)
    assert [each.sequence for each in kept] == [2, 3, 6]
    assert verify_export(lines, kept, []).faults == ()


async def test_how_long_records_are_unsigned_is_told_beside_a_checkpoint_of_a_time_to_come_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    await _add(metadata, 1)
    checkpoints, registry = Checkpoints(metadata, _KEY, tmp_path), CollectorRegistry()
    assert await checkpoints.run(300)  # so that it is not due when the duty looks
    await _add(metadata, 1)
    await sign_days_ago(metadata, _KEY, 2, -1)
    await metadata.write(lambda tx: tx.audit.extend([pull_record(2)]))
    await database.fetch(f"UPDATE audit_records SET at = at - {DAY // 12} WHERE sequence IS NULL")
    await Sealer(metadata).run()

    await audit_checkpoint_duty(checkpoints, metadata, build_metrics(registry), lambda: 300).run()

    assert 7200 <= (registry.get_sample_value("registry_audit_unsigned_seconds") or 0) < 7300
