"""Who only holds an export can cut it and sign it with a key of their own: what tells where none was given (I11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from tests.running.audit_material import KeyInMemory, pull_record

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.audit_store import CheckpointRow
    from entrepot.metadata.store import Metadata

_FORMER, _LATER = KeyInMemory(), KeyInMemory()


async def _sign(metadata: Metadata, key: KeyInMemory, directory: Path) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(2)]))
    await Sealer(metadata).run()
    assert await Checkpoints(metadata, key, directory).run(0)


async def _export(metadata: Metadata, key: KeyInMemory, directory: Path) -> list[bytes]:
    export = AuditExport(metadata, SignedEnd(Sealer(metadata), Checkpoints(metadata, key, directory), key))
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
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
