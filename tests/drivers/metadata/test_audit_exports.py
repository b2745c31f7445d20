"""An export signs its end on both engines, beside others that do the same, or says what is not covered."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from entrepot.audit.checkpoint_format import decode_checkpoint
from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.database_verification import verify_database
from entrepot.audit.erasure import AuditErasure
from entrepot.audit.export import AuditExport
from entrepot.audit.export_format import CheckpointLines, ExportEnd, decode_signature, encode_line
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import FaultKind
from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import NoEndSigner, SignedEnd
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import AuditUnavailableError
from entrepot.auth.grants import SystemGrant
from entrepot.auth.host import host_operator, host_system_grant
from entrepot.auth.keys.errors import MasterKeyError
from entrepot.auth.system_actions import DeleteUser, ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME
from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.verified_while import Passing
from tests.running.audit_material import ALICE, BOB, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.audit.signed_end import EndSigner
    from entrepot.audit.signing import CheckpointSignature, CheckpointSigner
    from entrepot.metadata.audit_store import AuditRow, CheckpointRow, NewAuditRecord
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


@pytest.fixture
def end(metadata: Metadata, tmp_path: Path) -> SignedEnd:
    """Signs, and keeps checkpoints in the directory `kept`."""
    return _signed_end(metadata, KeyInMemory(), tmp_path / "kept")


def _signed_end(metadata: Metadata, key: CheckpointSigner, directory: Path, batch: int = 500) -> SignedEnd:
    return SignedEnd(Sealer(metadata, batch), Checkpoints(metadata, key, directory), key)


async def _add(metadata: Metadata, count: int) -> None:
    records = [pull_record(number, (ALICE, BOB)[number % 2]) for number in range(count)]
    await metadata.write(lambda tx: tx.audit.extend(records))


async def _export(
    metadata: Metadata, end: EndSigner, since: int = 0, until: int = END_OF_TIME
) -> list[bytes]:
    export = AuditExport(metadata, end)
    begun = await export.begin(host_system_grant(ExportAuditLog), since, until)
    return [line + b"\n" async for line in export.lines(begun)]


async def _add_late(metadata: Metadata, at: int) -> None:
    """Add a note that a node hands in after records of later times."""
    late = msgspec.structs.replace(pull_record(99, BOB), at_milliseconds=at)
    await metadata.write(lambda tx: tx.audit.append(late))


def _kept(directory: Path) -> list[CheckpointRow]:
    read = [decode_checkpoint(path.read_bytes()) for path in sorted(directory.iterdir())]
    return [checkpoint for checkpoint in read if checkpoint is not None]


def _cut(lines: list[bytes], last: int, **mended: int) -> list[bytes]:
    """Return the export without the records behind `last`, the checkpoints behind it and what else tells of them.

    Whoever cuts can't sign what is left, so there is no signature either.
    """
    header = msgspec.json.decode(lines[0]) | {"last": last} | mended
    kept = [msgspec.json.encode(header) + b"\n"]
    count, checkpoints = 0, CheckpointLines()
    is_signed = decode_signature(lines[1].rstrip()) is not None
    for line in lines[2:-2] if is_signed else lines[1:-1]:
        checkpoint = decode_checkpoint(line)
        sequence = (
            msgspec.json.decode(line)["entrepot"]["sequence"] if checkpoint is None else checkpoint.sequence
        )
        kept += [line] if sequence <= last else []
        if checkpoint is not None and sequence <= last:
            checkpoints.take(line.rstrip())
        count += checkpoint is None and sequence <= last
    none = hashlib.sha256()
    digest = hashlib.sha256(kept[0].rstrip()).hexdigest()
    end = ExportEnd(count, last, digest, 0, none.hexdigest(), 0, "", "", checkpoints.count, checkpoints.which)
    return [*kept, encode_line(end) + b"\n"]


def _faults(lines: list[bytes], kept: list[CheckpointRow]) -> list[tuple[FaultKind, int]]:
    """Return what is wrong for somebody who accepts that nobody signed the export."""
    faults = verify_export(lines, kept, []).faults
    return [(fault.kind, fault.sequence) for fault in faults if fault.kind is not FaultKind.UNSIGNED]


async def test_an_export_signs_its_end_and_no_record_of_it_can_be_made_anew_or_cut_off(
    metadata: Metadata, tmp_path: Path
) -> None:
    """Records that waited for their place are in it, and so is a checkpoint of the last one (8.1.4.3c)."""
    key = KeyInMemory()
    end = _signed_end(metadata, key, tmp_path / "checkpoints")
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
    cut = _cut(lines, 5, signed=5)
    verdict = verify_export(cut, [each for each in kept if each is not None], [key.public_key])
    assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [
        (FaultKind.TRUNCATED, 5),
        (FaultKind.UNSIGNED, 5),
    ]
    verdict = verify_export([cut[0], lines[1], *cut[1:]], [], [key.public_key])
    assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.SIGNATURE, 5)]


async def test_an_export_of_times_before_the_last_checkpoint_is_signed_by_the_next_one(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    await _add(metadata, 4)
    await database.fetch("UPDATE audit_records SET at = 1000 * (id - (SELECT min(id) FROM audit_records))")
    end = _signed_end(metadata, KeyInMemory(), tmp_path)

    verdict = verify_export(await _export(metadata, end, 0, 2000), [], [])

    assert (verdict.last, verdict.signed, verdict.uncovered) == (4, 4, None)
    # The record of the export waits for its place; the next one has it, though it is of a later time. No checkpoint was
    # signed before these times, so it begins with the log.
    verdict = verify_export(await _export(metadata, end, 3000, 4000), [], [])
    assert (verdict.first, verdict.last, verdict.uncovered) == (1, 4, None)


async def test_several_exports_at_once_and_the_worker_sign_one_chain(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    other = await open_metadata(database.url, 2, 5.0)
    ends = [_signed_end(each, KeyInMemory(), tmp_path, batch=10) for each in (metadata, other)]
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


class _BrokenKey(KeyInMemory):
    """A signer whose key can't be opened."""

    async def sign(self, content: bytes, key_id: str = "") -> CheckpointSignature:
        raise MasterKeyError("the master key is another one")


async def test_an_export_whose_end_can_not_be_signed_says_which_records_are_not_covered(
    metadata: Metadata, tmp_path: Path
) -> None:
    await _add(metadata, 5)
    await Sealer(metadata).run()
    await Checkpoints(metadata, KeyInMemory(), tmp_path).run(0)
    await _add(metadata, 3)
    end = _signed_end(metadata, _BrokenKey(), tmp_path)

    lines = await _export(metadata, end)

    header, verdict = msgspec.json.decode(lines[0]), verify_export(lines, [], [])
    assert (header["signed"], header["unsigned_because"]) == (5, "the master key is another one")
    assert (verdict.signed, verdict.uncovered) == (5, (6, 8))
    (fault,) = verdict.faults
    assert (fault.kind, fault.sequence) == (FaultKind.UNSIGNED, 8)
    assert fault.message.endswith(": the master key is another one")


async def test_an_export_reaches_a_checkpoint_of_late_notes_though_they_are_of_times_not_asked_for(
    metadata: Metadata, end: SignedEnd, tmp_path: Path
) -> None:
    """And one that was cut before them is still found, with checkpoints that were kept and without (8.1.4.3c)."""
    await _add(metadata, 4)
    await end.sign()
    await _add_late(metadata, 1000)

    lines = await _export(metadata, end, since=2000)

    kept = _kept(tmp_path / "kept")
    verdict = verify_export(lines, kept, [])
    assert [checkpoint.sequence for checkpoint in kept] == [4, 5]
    assert (verdict.faults, verdict.last, verdict.signed, verdict.uncovered) == ((), 5, 5, None)
    assert _faults(_cut(lines, 4, signed=4), kept) == [(FaultKind.TRUNCATED, 4)]
    assert _faults(_cut(lines, 4), []) == [(FaultKind.SIGNATURE, 5)]
    assert _faults([*lines[:-3], *lines[-2:]], []) == [(FaultKind.TRUNCATED, 4)]


async def test_an_export_of_times_that_are_over_ends_at_the_last_checkpoint_that_was_signed_in_them(
    metadata: Metadata, end: SignedEnd, tmp_path: Path
) -> None:
    """Further only for what was sealed later and is of these times."""
    await _add(metadata, 3)
    await end.sign()
    await _add_late(metadata, 1000)
    await asyncio.sleep(0.005)  # no two checkpoints of one millisecond
    await end.sign()
    await asyncio.sleep(0.005)
    await _add(metadata, 2)
    await end.sign()
    first, second, _ = kept = _kept(tmp_path / "kept")

    whole = await _export(metadata, end, 2000, second.at + 1)
    before = await _export(metadata, end, 2000, second.at)
    await _add_late(metadata, first.at)
    with_late = await _export(metadata, end, 2000, second.at + 1)

    assert [msgspec.json.decode(lines[0])["last"] for lines in (whole, before, with_late)] == [4, 3, 9]
    for lines in (whole, before, with_late):
        assert _faults(lines, _kept(tmp_path / "kept")) == []
    assert _faults(_cut(whole, 3, signed=3), kept) == [(FaultKind.TRUNCATED, 3)]
    assert _faults(_cut(with_late, 3, signed=3), kept) == [(FaultKind.TRUNCATED, 3)]


async def test_an_export_after_a_purge_reaches_what_was_signed_and_not_what_is_gone(
    metadata: Metadata, end: SignedEnd, tmp_path: Path
) -> None:
    await _add_late(metadata, 1000)
    await Sealer(metadata).run()
    await sign_days_ago(metadata, KeyInMemory(), 1, 181)
    await _add(metadata, 2)
    await end.sign()
    await AuditPurge(metadata, 180).run(host_operator(), 180)
    await Sealer(metadata).run()
    await _add_late(metadata, 1000)

    lines = await _export(metadata, end, since=2000)

    kept = _kept(tmp_path / "kept")
    assert [checkpoint.sequence for checkpoint in kept] == [1, 3, 5]
    verdict = verify_export(lines, kept, [])
    assert (verdict.faults, verdict.first, verdict.last, verdict.signed) == ((), 2, 5, 5)
    assert _faults(_cut(lines, 3, signed=3), kept) == [(FaultKind.TRUNCATED, 3)]


async def test_an_export_without_a_signer_reaches_the_checkpoints_that_there_are(
    metadata: Metadata, end: SignedEnd, tmp_path: Path
) -> None:
    await _add(metadata, 4)
    await end.sign()
    await _add_late(metadata, 1000)
    await asyncio.sleep(0.005)
    await end.sign()
    await _add_late(metadata, 1001)
    await Sealer(metadata).run()

    signed = await _export(metadata, NoEndSigner("no key here"), since=2000)
    await _add(metadata, 1)
    await Sealer(metadata).run()
    unsigned = await _export(metadata, NoEndSigner("no key here"), since=2000)
    await asyncio.sleep(0.005)
    await end.sign()  # what is signed later is not missing in either

    kept = _kept(tmp_path / "kept")
    assert [checkpoint.sequence for checkpoint in kept] == [4, 5, 9]
    verdict = verify_export(signed, kept, [])
    assert (_faults(signed, kept), verdict.last, verdict.uncovered) == ([], 5, None)
    verdict = verify_export(unsigned, kept, [])
    assert (_faults(unsigned, kept), verdict.last, verdict.uncovered) == ([], 8, (6, 8))
    assert _faults(_cut(unsigned, 4, signed=4), kept) == [(FaultKind.TRUNCATED, 4)]


@dataclass
class _SlowKey(KeyInMemory):
    """A signer that has not signed yet when others go on."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_sign: asyncio.Event = field(default_factory=asyncio.Event)

    async def sign(self, content: bytes, key_id: str = "") -> CheckpointSignature:
        self.asked.set()
        await self.may_sign.wait()
        return await KeyInMemory().sign(content)


async def test_a_checkpoint_that_another_node_is_just_signing_is_not_missing_in_an_export(
    metadata: Metadata, tmp_path: Path
) -> None:
    """It is of the time before the export was done, and nobody could have known of it."""
    directory, key = tmp_path / "kept", _SlowKey()
    end = _signed_end(metadata, KeyInMemory(), directory)
    others: list[asyncio.Task[bool]] = []

    class _OvertakenEnd:
        async def sign(self) -> str:
            reason = await end.sign()
            await _add_late(metadata, 1000)
            await Sealer(metadata).run()
            await asyncio.sleep(0.005)
            others.append(asyncio.create_task(Checkpoints(metadata, key, directory).run(0)))
            await key.asked.wait()
            await asyncio.sleep(0.005)
            return reason

        async def attest(self, content: bytes, key_id: str = "") -> CheckpointSignature:
            return await end.attest(content, key_id)

        async def owns(self, key_id: str, public_key: bytes) -> bool:
            return await end.owns(key_id, public_key)

    await _add(metadata, 4)
    lines = await _export(metadata, _OvertakenEnd(), since=2000)
    key.may_sign.set()
    assert await asyncio.gather(*others) == [True]

    kept = _kept(directory)
    assert [checkpoint.sequence for checkpoint in kept] == [4, 5]
    assert (_faults(lines, kept), verify_export(lines, kept, []).last) == ([], 4)


async def _erase_by_hand(database: RawDatabase) -> None:
    await database.fetch("UPDATE audit_records SET disclosure = NULL, user_name = '', address = ''")


async def test_personal_data_that_went_without_a_record_of_it_are_told_of_database_and_export(
    metadata: Metadata, database: RawDatabase, end: SignedEnd
) -> None:
    await _add(metadata, 4)
    await end.sign()
    await _erase_by_hand(database)

    lines, verdict = await _export(metadata, end), await verify_database(metadata, [], [])

    assert (verdict.erased, verdict.unaccounted) == (4, 4)
    assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.DISCLOSURE, 1)]
    verdict = verify_export(lines, [], [])
    assert (verdict.erased, verdict.unaccounted) == (4, 4)
    assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.DISCLOSURE, 1)]


async def test_an_export_of_a_range_without_the_record_of_an_erasure_is_no_forgery(
    metadata: Metadata, end: SignedEnd
) -> None:
    """The registry knows of the erasure and signs which records it left bare; a hand that took the rest is found."""
    await _add_late(metadata, 1000)
    await _add_late(metadata, 1001)
    await end.sign()
    await asyncio.sleep(0.005)
    await _erase_bob(metadata)

    lines = await _export(metadata, end, until=2000)
    unsigned = await _export(metadata, NoEndSigner("no key"), until=2000)

    verdict = verify_export(lines, [], [])
    assert (verdict.last, verdict.erased, verdict.unaccounted, verdict.faults) == (2, 2, 0, ())
    # Where nobody signed, it can't be proven; that is said, and is no fault by itself.
    verdict = verify_export(unsigned, [], [])
    assert (verdict.erased, verdict.unaccounted) == (2, 2)
    assert [fault.kind for fault in verdict.faults] == [FaultKind.UNSIGNED]
    verdict = await verify_database(metadata, [], [])
    assert (verdict.erased, verdict.unaccounted, verdict.faults) == (2, 0, ())


async def _erase_bob(metadata: Metadata) -> None:
    assert await AuditErasure(metadata).erase(SystemGrant(DeleteUser, ALICE), BOB.subject) == 2


async def test_who_is_erased_while_an_export_is_under_way_makes_no_forgery_of_it(
    metadata: Metadata, end: SignedEnd
) -> None:
    await _add(metadata, 4)
    export = AuditExport(metadata, end)
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    lines: list[bytes] = []
    async for line in export.lines(begun):
        if not lines:
            await AuditErasure(metadata).erase(SystemGrant(DeleteUser, ALICE), BOB.subject)
        lines.append(line + b"\n")

    verdict = verify_export(lines, [], [])

    assert (verdict.erased, verdict.unaccounted, verdict.faults) == (2, 0, ())


async def test_an_export_holds_few_long_records_at_once_s36(metadata: Metadata, end: SignedEnd) -> None:
    """Each of 200 kB, where two make a batch too long, and one that is longer than any batch."""
    long = [_long_record(number, 200_000) for number in range(6)]
    await metadata.write(lambda tx: tx.audit.extend([*long, _long_record(6, 600_000)]))
    held: list[int] = []
    export = AuditExport(_watched(metadata, held), end)

    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    lines = [line + b"\n" async for line in export.lines(begun)]

    assert verify_export(lines, [], []).faults == ()
    assert held == [1, 1, 1, 1, 1, 1, 1]


async def test_an_export_of_a_database_that_takes_no_writes_says_so_soon(
    metadata: Metadata, end: SignedEnd
) -> None:
    await _add(metadata, 1)
    export = AuditExport(_stuck(metadata), end, patience_seconds=0.1)

    started = time.monotonic()
    with pytest.raises(AuditUnavailableError, match=r"took no write within 0\.1 s"):
        await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)

    assert time.monotonic() - started < 30


def _long_record(number: int, characters: int) -> NewAuditRecord:
    about = AuditObject("label", f"label-{number}")
    return audit_record(ALICE, AuditAction.LABEL_UPDATE, about, after={"description": "x" * characters})


def _stuck(metadata: Metadata) -> Any:
    """Return a database that somebody else keeps locked."""

    async def write(unit: object) -> None:
        await asyncio.Event().wait()

    store = Passing(metadata)
    vars(store)["write"] = write
    return store


def _watched(metadata: Metadata, held: list[int]) -> Any:
    """Return the store, which notes how many records are read at once."""
    store, audit = Passing(metadata), Passing(metadata.audit)

    async def sealed(after: int, limit: int) -> Sequence[AuditRow]:
        rows = await metadata.audit.sealed(after, limit)
        held.append(len(rows))
        return rows

    vars(store)["audit"], vars(audit)["sealed"] = audit, sealed
    return store
