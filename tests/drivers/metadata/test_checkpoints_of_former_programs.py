"""Checkpoints that do not tell a node's clock neither have an older copy pass nor an export be called cut (F27)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import FaultKind
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME, ChainState
from tests.drivers.metadata.forged_rows import go_back_to
from tests.drivers.metadata.verified_while import Passing
from tests.running.audit_material import DAY, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.audit_store import CheckpointRow
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = KeyInMemory()


async def _add(metadata: Metadata, count: int) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(count)]))
    await Sealer(metadata).run()


async def _sign(metadata: Metadata, directory: Path) -> None:
    assert await Checkpoints(metadata, _KEY, directory).run(0)


async def _export(metadata: Metadata, directory: Path) -> list[bytes]:
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, _KEY, directory), _KEY)
    export = AuditExport(metadata, end)
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    return [line + b"\n" async for line in export.lines(begun)]


def _with_clock(metadata: Metadata, now: int) -> Any:
    """Return the store as one whose database's clock stands still at this time."""
    store, audit, diagnosis = Passing(metadata), Passing(metadata.audit), Passing(metadata.diagnosis)

    async def chain() -> ChainState | None:
        found = await metadata.audit.chain()
        return None if found is None else replace(found, now=now)

    async def clock() -> int:
        return now

    vars(store).update(audit=audit, diagnosis=diagnosis)
    vars(audit)["chain"], vars(diagnosis)["clock_milliseconds"] = chain, clock
    return store


async def _now(metadata: Metadata) -> int:
    return await metadata.diagnosis.clock_milliseconds()


def _faults(lines: list[bytes], kept: list[CheckpointRow]) -> list[tuple[FaultKind, int]]:
    return [(fault.kind, fault.sequence) for fault in verify_export(lines, kept, [_KEY.public_key]).faults]


async def _kept(metadata: Metadata) -> list[CheckpointRow]:
    return list(await metadata.audit.checkpoints(1, 100))


@pytest.mark.parametrize("moments", [1, 60_000])
@pytest.mark.parametrize("told_then", [True, False])
async def test_an_older_copy_is_found_though_it_is_exported_behind_a_former_programs_checkpoint_f27(
    metadata: Metadata,
    database: RawDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moments: int,
    told_then: bool,
) -> None:
    """Who owns the database set its clock ahead for what is to vanish, and back to that moment for the export."""
    await _add(metadata, 4)
    former = await sign_days_ago(metadata, _KEY, 4, 200, node_says=told_then)
    await _add(metadata, 2)
    await sign_days_ago(metadata, _KEY, 6, 150)
    await _add(metadata, 2)
    now = time.time_ns()  # noqa: TID251  # what the node's clock says
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: now - 20 * DAY * 1_000_000)
        await _sign(_with_clock(metadata, await _now(metadata) + 10 * DAY), tmp_path)
    kept = await _kept(metadata)
    assert [one.sequence for one in kept] == [4, 6, 8]
    await go_back_to(database, 6)

    lines = await _export(_with_clock(metadata, former.at + moments), tmp_path)

    assert _faults(lines, kept) == [(FaultKind.TRUNCATED, 6)]


@pytest.mark.parametrize("is_quiet", [True, False])
@pytest.mark.parametrize("days_ahead", [0, 5, 400])
async def test_an_export_right_after_an_upgrade_stays_sound_whatever_clock_its_checkpoints_had_f27(
    metadata: Metadata, tmp_path: Path, is_quiet: bool, days_ahead: int
) -> None:
    """It leaves a checkpoint of its own behind; those that come after the clock was put right have earlier times."""
    await _add(metadata, 4)
    await sign_days_ago(metadata, _KEY, 2, -days_ahead + 1, node_says=False)
    await sign_days_ago(metadata, _KEY, 4, -days_ahead, node_says=False)
    if not is_quiet:
        await _add(metadata, 3)
    ahead = await _now(metadata) + days_ahead * DAY + 1000
    lines = await _export(_with_clock(metadata, ahead), tmp_path)
    for count in (2, 3):
        await _add(metadata, count)
        await _sign(metadata, tmp_path)

    kept = await _kept(metadata)

    assert [one.sequence for one in kept] == ([2, 4, 5, 7, 10] if is_quiet else [2, 4, 7, 10, 13])
    assert _faults(lines, kept) == []
