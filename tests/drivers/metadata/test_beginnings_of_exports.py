"""An export of times begins where checkpoints show that it may, not where the database says, on both engines (I11)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import FaultKind
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME
from tests.running.audit_material import DAY, KeyInMemory, pull_record, sign_days_ago, signed_anew

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = KeyInMemory()


async def _append(metadata: Metadata, record: NewAuditRecord) -> None:
    await metadata.write(lambda tx: tx.audit.append(record))


async def _days(metadata: Metadata, *signed_on: float) -> int:
    """Seal a record, and sign it, on each of these days ago, then two records of today; return what time it is."""
    now = await metadata.diagnosis.clock_milliseconds()
    for sequence, days in enumerate(signed_on, 1):
        record = msgspec.structs.replace(pull_record(sequence), at_milliseconds=now - int(days * DAY) - 1000)
        await _append(metadata, record)
        await Sealer(metadata).run()
        await sign_days_ago(metadata, _KEY, sequence, days)
    await metadata.write(lambda tx: tx.audit.extend([pull_record(8), pull_record(9)]))
    await Sealer(metadata).run()
    return now


async def _export(metadata: Metadata, directory: Path, since: int) -> list[bytes]:
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, _KEY, directory), _KEY)
    export = AuditExport(metadata, end)
    begun = await export.begin(host_system_grant(ExportAuditLog), since, END_OF_TIME)
    return [line + b"\n" async for line in export.lines(begun)]


def _judged(lines: list[bytes]) -> tuple[int, list[tuple[FaultKind, int]]]:
    """Return the link behind which an export begins, and what is wrong with it."""
    faults = verify_export(lines, [], [_KEY.public_key]).faults
    return msgspec.json.decode(lines[0])["after"], [(fault.kind, fault.sequence) for fault in faults]


async def test_records_that_the_database_says_to_be_of_other_times_are_in_an_export_and_found_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """It begins behind the last checkpoint that was signed before its times, which it holds."""
    now = await _days(metadata, 3, 2, 1)
    since = now - DAY * 3 // 2
    honest = await _export(metadata, tmp_path, since)

    await database.fetch("UPDATE audit_records SET at = 1000 WHERE sequence IN (3, 4)")

    assert _judged(honest) == (2, [])
    assert _judged(await _export(metadata, tmp_path, since)) == (2, [(FaultKind.CHANGED, 3)])


async def test_an_export_earlier_than_all_checkpoints_or_without_the_last_before_begins_earlier(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    now = await _days(metadata, 3, 2, 1)
    assert _judged(await _export(metadata, tmp_path, now - 9 * DAY)) == (0, [])

    await database.fetch("DELETE FROM audit_checkpoints WHERE sequence = 2")

    assert _judged(await _export(metadata, tmp_path, now - DAY * 3 // 2)) == (1, [])


@pytest.mark.parametrize("format_of", [3, 4])
async def test_an_export_that_begins_behind_what_may_be_of_its_times_is_a_cut_but_of_former_programs(
    metadata: Metadata, tmp_path: Path, format_of: int
) -> None:
    """Those began with the first record that the database said to be of these times, wherever it was signed."""
    now = await _days(metadata, 3, 2, 1)
    lines = await _export(metadata, tmp_path, now - DAY // 2)
    assert _judged(lines) == (3, [])

    of_more = await signed_anew(lines, _KEY, since=now - DAY * 3 // 2, format=format_of)

    assert _judged(of_more) == (3, [(FaultKind.TRUNCATED, 3)] if format_of == 4 else [])


async def test_a_checkpoint_of_a_database_whose_clock_was_behind_is_not_of_before_these_times_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """Its owner may set that back; the clock of the process that signed is not his."""
    now = await _days(metadata, 3, 2)
    chain = await metadata.audit.chain()
    assert chain is not None
    behind = await metadata.audit.last_checkpoint()
    assert behind is not None
    content = msgspec.json.decode(behind.signed)
    told = {"sequence": chain.sequence, "hash": chain.chain_hash, "at": now - 2 * DAY + 1, "node_at": now}
    signed = msgspec.json.encode(content | told)
    made = await _KEY.sign(signed)
    row = replace(
        behind,
        sequence=chain.sequence,
        chain_hash=chain.chain_hash,
        signed=signed,
        signature=made.signature,
        at=now - 2 * DAY + 1,
    )
    assert await metadata.write(lambda tx: tx.audit_chain.add_checkpoint(row))
    await metadata.write(lambda tx: tx.audit.append(pull_record(10)))
    await database.fetch("UPDATE audit_records SET at = 1000 WHERE sequence IN (3, 4)")

    assert _judged(await _export(metadata, tmp_path, now - DAY)) == (2, [(FaultKind.CHANGED, 3)])
