"""Who only holds an export can cut it and sign it with a key of their own: what tells where none was given (I11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.export import AuditExport
from entrepot.audit.export_format import ExportHeader
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

    from entrepot.metadata.audit_store import CheckpointRow
    from entrepot.metadata.store import Metadata

_FORMER, _LATER = KeyInMemory(), KeyInMemory()


async def _sign(metadata: Metadata, key: KeyInMemory, directory: Path) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(2)]))
    await Sealer(metadata).run()
    assert await Checkpoints(metadata, key, directory).run(0)


async def _export(metadata: Metadata, key: KeyInMemory, directory: Path, since: int = 0) -> list[bytes]:
    export = AuditExport(metadata, SignedEnd(Sealer(metadata), Checkpoints(metadata, key, directory), key))
    begun = await export.begin(host_system_grant(ExportAuditLog), since, END_OF_TIME)
    return [line + b"\n" async for line in export.lines(begun)]


async def _kept(metadata: Metadata, *keys: KeyInMemory) -> list[CheckpointRow]:
    """Return the checkpoints that these keys signed."""
    of = {key.public_key for key in keys}
    return [one for one in await metadata.audit.checkpoints(1, 100) if one.public_key in of]


async def test_a_strangers_key_between_checkpoints_of_the_registrys_is_a_fault_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    """Dated before what they cut off, which is then not missing; no rotation goes back to a key."""
    await _sign(metadata, _FORMER, tmp_path)
    lines = await _export(metadata, KeyInMemory(), tmp_path)
    await _sign(metadata, _FORMER, tmp_path)
    kept = await _kept(metadata, _FORMER)

    verdict = verify_export(lines, kept, [])

    assert [one.sequence for one in kept] == [2, 5]
    assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.SIGNATURE, 2)]
    assert "--public-key" in verdict.faults[0].message
    assert not verify_export(lines, kept[1:], []).is_sound  # by the checkpoint that the export holds


async def test_a_strangers_key_is_a_fault_though_what_was_cut_off_has_earlier_times_than_the_cut_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    """It is dated as if begun while the clock was ahead; what was signed behind that was signed since all the same."""
    await _sign(metadata, _FORMER, tmp_path)
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(2)]))
    await Sealer(metadata).run()
    ahead = await sign_days_ago(metadata, _FORMER, 4, -2)
    whole = await _export(metadata, _FORMER, tmp_path)
    await _sign(metadata, _FORMER, tmp_path)
    kept = await _kept(metadata, _FORMER)

    dated = {"made_at": ahead.at + 1, "node_at": ahead.at}
    verdict = verify_export(await signed_anew(whole, KeyInMemory(), **dated), kept, [])

    assert [one.sequence for one in kept] == [2, 4, 5, 7]
    assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.SIGNATURE, 4)]
    assert verify_export(await signed_anew(whole, _FORMER, **dated), kept, []).is_sound


@pytest.mark.parametrize("days", [0, 400])
async def test_a_stranger_does_not_date_an_export_so_that_a_cut_beginning_counts_as_purged_i11(
    metadata: Metadata, tmp_path: Path, days: int
) -> None:
    """What time it is, the machine that verifies knows; who has the keys takes the word of who signed, and is told."""
    await _sign(metadata, _FORMER, tmp_path)
    since = await metadata.diagnosis.clock_milliseconds() + 1
    later = [msgspec.structs.replace(pull_record(number), at_milliseconds=since) for number in range(2)]
    await metadata.write(lambda tx: tx.audit.extend(later))
    part = await _export(metadata, _FORMER, tmp_path, since)
    header = msgspec.json.decode(part[0], type=ExportHeader)
    at = header.made_at + days * DAY
    told: dict[str, int | str] = {
        "purged": 2,
        "purged_hash": header.after_hash,
        "purge_record": "p",
        "made_at": at,
        "node_at": at,
    }
    kept = await _kept(metadata, _FORMER)

    verdict = verify_export(await signed_anew(part, KeyInMemory(), **told), kept, [])
    by_owner = verify_export(await signed_anew(part, _FORMER, **told), kept, [_FORMER.public_key])

    assert (header.after, [one.sequence for one in kept][:2]) == (2, [2, 4])
    assert [(fault.kind, fault.sequence) for fault in verdict.faults if fault.sequence == 2] == [
        (FaultKind.TRUNCATED, 2)
    ]
    assert verdict.is_dated_ahead is by_owner.is_dated_ahead is bool(days)
    assert by_owner.is_sound is bool(days)


@pytest.mark.parametrize(
    ("exporting", "kept_of", "is_key_unknown"),
    [
        (_LATER, (_FORMER,), True),
        (_FORMER, (_LATER,), True),
        (_LATER, (_FORMER, _LATER), False),
        (_FORMER, (_FORMER, _LATER), False),
        (_LATER, (), False),
    ],
)
async def test_a_key_that_was_rotated_is_none_though_no_kept_checkpoint_has_it_which_is_told_i11(
    metadata: Metadata,
    tmp_path: Path,
    exporting: KeyInMemory,
    kept_of: tuple[KeyInMemory, ...],
    is_key_unknown: bool,
) -> None:
    await _sign(metadata, _FORMER, tmp_path)
    lines = await _export(metadata, exporting, tmp_path)
    await _sign(metadata, _LATER, tmp_path)
    kept = await _kept(metadata, *kept_of)

    verdict = verify_export(lines, kept, [])

    assert verdict.faults == ()
    assert verdict.is_key_unknown is is_key_unknown
    given = verify_export(lines, kept, [_FORMER.public_key, _LATER.public_key])
    assert (given.faults, given.is_key_unknown) == ((), False)
