"""An export signs its end on both engines, beside others that do the same, or says what is not covered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from entrepot.audit.checkpoints import Checkpoints, decode_checkpoint
from entrepot.audit.export import AuditExport
from entrepot.audit.proof import FaultKind
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.audit.verification import verify_database, verify_export
from entrepot.auth.host import host_system_grant
from entrepot.auth.keys.errors import MasterKeyError
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME
from entrepot.metadata.sql.opening import open_metadata
from tests.running.audit_material import ALICE, BOB, KeyInMemory, pull_record

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.audit.signed_end import EndSigner
    from entrepot.audit.signing import CheckpointSignature
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def _add(metadata: Metadata, count: int) -> None:
    records = [pull_record(number, (ALICE, BOB)[number % 2]) for number in range(count)]
    await metadata.write(lambda tx: tx.audit.extend(records))


async def _export(
    metadata: Metadata, end: EndSigner, since: int = 0, until: int = END_OF_TIME
) -> list[bytes]:
    export = AuditExport(metadata, end)
    header = await export.begin(host_system_grant(ExportAuditLog), since, until)
    return [line + b"\n" async for line in export.lines(header)]


async def test_an_export_signs_its_end_and_no_record_of_it_can_be_made_anew_or_cut_off(
    metadata: Metadata, tmp_path: Path
) -> None:
    """Records that waited for their place are in it, and so is a checkpoint of the last one (8.1.4.3c)."""
    key = KeyInMemory()
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, key, tmp_path / "checkpoints"))
    await _add(metadata, 5)
    await end.sign()
    await _add(metadata, 3)
    await Sealer(metadata).run()
    await _add(metadata, 2)

    lines = await _export(metadata, end)

    verdict = verify_export(lines, [], [key.public_key])
    assert (verdict.last, verdict.signed, verdict.uncovered, verdict.faults) == (10, 10, None, ())
    kept = [decode_checkpoint(path.read_bytes()) for path in sorted((tmp_path / "checkpoints").iterdir())]
    assert [each and each.sequence for each in kept] == [5, 10]
    # Cut at the checkpoint before, with every mention of what came behind it taken out.
    header = msgspec.json.decode(lines[0]) | {"last": 5, "signed": 5}
    cut = [msgspec.json.encode(header) + b"\n", lines[1], *lines[3:8], b'{"last":5,"records":5,"type":"end"}']
    verdict = verify_export(cut, [each for each in kept if each is not None], [key.public_key])
    assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.TRUNCATED, 5)]


async def test_an_export_of_times_before_the_last_checkpoint_is_signed_by_the_next_one(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    await _add(metadata, 4)
    await database.fetch("UPDATE audit_records SET at = 1000 * (id - (SELECT min(id) FROM audit_records))")
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, KeyInMemory(), tmp_path))

    verdict = verify_export(await _export(metadata, end, 0, 2000), [], [])

    assert (verdict.last, verdict.signed, verdict.uncovered) == (4, 4, None)
    # The record of the export waits for its place; the next one has it, though it is of a later time.
    verdict = verify_export(await _export(metadata, end, 3000, 4000), [], [])
    assert (verdict.first, verdict.last, verdict.uncovered) == (4, 4, None)


async def test_several_exports_at_once_and_the_worker_sign_one_chain(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    other = await open_metadata(database.url, 2, 5.0)
    ends = [
        SignedEnd(Sealer(each, batch=10), Checkpoints(each, KeyInMemory(), tmp_path))
        for each in (metadata, other)
    ]
    try:
        await _add(metadata, 90)
        exports = await asyncio.gather(
            _export(metadata, ends[0]), _export(other, ends[1]), ends[0].sign(), Sealer(other).run()
        )
    finally:
        await other.aclose()

    for lines in exports[:2]:
        verdict = verify_export(lines, [], [])
        assert (verdict.faults, verdict.uncovered) == ((), None)
    assert (await verify_database(metadata, [], [])).faults == ()


class _BrokenKey:
    """A signer whose key can't be opened."""

    async def sign(self, content: bytes) -> CheckpointSignature:
        raise MasterKeyError("the master key is another one")


async def test_an_export_whose_end_can_not_be_signed_says_which_records_are_not_covered(
    metadata: Metadata, tmp_path: Path
) -> None:
    await _add(metadata, 5)
    await Sealer(metadata).run()
    await Checkpoints(metadata, KeyInMemory(), tmp_path).run(0)
    await _add(metadata, 3)
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, _BrokenKey(), tmp_path))

    lines = await _export(metadata, end)

    header, verdict = msgspec.json.decode(lines[0]), verify_export(lines, [], [])
    assert (header["signed"], header["unsigned_because"]) == (5, "the master key is another one")
    assert (verdict.signed, verdict.uncovered, verdict.faults) == (5, (6, 8), ())
    assert verdict.unsigned_because == "the master key is another one"
