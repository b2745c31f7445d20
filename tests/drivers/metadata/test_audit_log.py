"""The audit log on both engines: drained, sealed, signed, exported, verified, purged; and tampered with by hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from entrepot.audit.checkpoint_format import decode_checkpoint
from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.database_verification import verify_database
from entrepot.audit.drain import AuditDrain
from entrepot.audit.erasure import AuditErasure
from entrepot.audit.errors import AuditRetentionError
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import FaultKind
from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.audit.spool import AuditSpool
from entrepot.auth.errors import AuditUnavailableError
from entrepot.auth.grants import SystemGrant
from entrepot.auth.host import host_operator, host_system_grant
from entrepot.auth.system_actions import DeleteUser, ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME, AuditFilter, AuditPageQuery
from entrepot.metadata.sql.opening import open_metadata
from entrepot.observability.metrics import build_metrics
from entrepot.workers.audit_upkeep import audit_checkpoint_duty, audit_drain_duty, audit_seal_duty
from tests.running.audit_material import ALICE, BOB, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.audit.signed_end import EndSigner
    from entrepot.audit.signing import CheckpointSignature
    from entrepot.audit.verdict import AuditVerdict
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_DAY = 24 * 60 * 60 * 1000


async def _add(metadata: Metadata, count: int) -> None:
    records = [pull_record(number, (ALICE, BOB)[number % 2]) for number in range(count)]
    await metadata.write(lambda tx: tx.audit.extend(records))


async def _sealed(metadata: Metadata, count: int) -> None:
    await _add(metadata, count)
    await Sealer(metadata).run()


@dataclass(frozen=True)
class _Attestation:
    """An :class:`entrepot.audit.signed_end.EndSigner` that leaves the chain as it is."""

    key: KeyInMemory = field(default_factory=KeyInMemory)

    async def sign(self) -> str:
        return ""

    async def attest(self, content: bytes, key_id: str = "") -> CheckpointSignature:
        return await self.key.sign(content)

    async def owns(self, key_id: str, public_key: bytes) -> bool:
        return await self.key.owns(key_id, public_key)


async def _export(
    metadata: Metadata, since: int = 0, until: int = END_OF_TIME, end: EndSigner | None = None
) -> list[bytes]:
    export = AuditExport(metadata, end or _Attestation())
    begun = await export.begin(host_system_grant(ExportAuditLog), since, until)
    return [line + b"\n" async for line in export.lines(begun)]


async def _verdict(metadata: Metadata) -> AuditVerdict:
    return await verify_database(metadata, [], [])


async def test_notes_are_drained_into_the_database_once_and_their_files_go_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    spool = AuditSpool(tmp_path / "spool", "none", lambda: None)
    drain = AuditDrain(tmp_path / "spool", metadata, "node")
    records = [pull_record(number) for number in range(700)]
    for record in records[:400]:
        await spool.note(record)
    assert (await drain.run()).records == 400
    for record in records[400:]:
        await spool.note(record)
    assert (await drain.run()).records == 300
    await spool.aclose()

    assert (await drain.run()).records == 0
    assert (await drain.run()).records == 0

    assert await metadata.audit.count(AuditFilter()) == 700
    assert list((tmp_path / "spool").iterdir()) == []
    assert await metadata.audit.spool_cursors("node") == {}


async def test_a_drain_that_lost_its_place_adds_nothing_twice_i11(metadata: Metadata, tmp_path: Path) -> None:
    spool = AuditSpool(tmp_path / "spool", "none", lambda: None)
    drain = AuditDrain(tmp_path / "spool", metadata, "node")
    for number in range(5):
        await spool.note(pull_record(number))
    await drain.run()
    (segment,) = (tmp_path / "spool").iterdir()
    await metadata.write(lambda tx: tx.audit_chain.forget_spool("node", segment.name))

    assert (await drain.run()).records == 5

    assert await metadata.audit.count(AuditFilter()) == 5
    await spool.aclose()


async def test_a_torn_end_is_passed_over_and_damage_is_kept_for_people_f45(
    metadata: Metadata, tmp_path: Path
) -> None:
    for damage in ("torn", "middle"):
        spool = AuditSpool(tmp_path / damage, "none", lambda: None)
        for number in range(3):
            await spool.note(pull_record(number))
        await spool.aclose()
    (torn,) = (tmp_path / "torn").iterdir()
    torn.write_bytes(torn.read_bytes()[:-7])
    (hurt,) = (tmp_path / "middle").iterdir()
    content = hurt.read_bytes()
    hurt.write_bytes(content[: len(content) // 2] + b"?" + content[len(content) // 2 + 1 :])

    after_torn = await AuditDrain(tmp_path / "torn", metadata, "torn").run()
    after_hurt = await AuditDrain(tmp_path / "middle", metadata, "middle").run()

    assert (after_torn.records, after_torn.damaged_bytes) == (2, 0)
    assert after_hurt.records == 2
    assert len(content) / 3 - 10 < after_hurt.damaged_bytes < len(content) / 3 + 10
    assert list((tmp_path / "torn").iterdir()) == []
    assert [path.suffix for path in (tmp_path / "middle").iterdir()] == [".damaged"]


async def test_records_are_sealed_in_batches_without_a_gap(metadata: Metadata) -> None:
    await _add(metadata, 25)

    assert await Sealer(metadata, batch=10).run() == 25
    assert await Sealer(metadata, batch=10).run() == 0

    links = await metadata.audit.links(0, 100)
    assert [link.sequence for link in links] == list(range(1, 26))
    chain = await metadata.audit.chain()
    assert chain is not None
    assert (chain.sequence, chain.chain_hash) == (25, links[-1].chain_hash)
    assert (await _verdict(metadata)).is_sound


async def test_batches_that_come_out_even_leave_nothing_unsealed(metadata: Metadata) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(20)]))

    assert await Sealer(metadata, batch=10).run() == 20
    assert await metadata.audit.unsealed_count() == 0


async def test_two_sealers_make_one_chain(metadata: Metadata, database: RawDatabase) -> None:
    other = await open_metadata(database.url, 4, 10.0)
    try:
        for _ in range(5):
            await _add(metadata, 30)
            sealed = await asyncio.gather(Sealer(metadata, batch=7).run(), Sealer(other, batch=7).run())
            await Sealer(metadata).run()
            assert sum(sealed) <= 30
    finally:
        await other.aclose()

    verdict = await _verdict(metadata)
    assert (verdict.records, verdict.unsealed, verdict.faults) == (150, 0, ())


async def test_an_export_proves_itself_also_with_a_given_key_and_kept_checkpoints(
    metadata: Metadata, tmp_path: Path
) -> None:
    key = KeyInMemory()
    checkpoints = Checkpoints(metadata, key, tmp_path / "checkpoints")
    await _sealed(metadata, 5)
    assert await checkpoints.run(3600)
    await _sealed(metadata, 4)
    assert not await checkpoints.run(3600)
    assert await checkpoints.run(0)
    assert not await checkpoints.run(0)
    kept = [decode_checkpoint(path.read_bytes()) for path in sorted((tmp_path / "checkpoints").iterdir())]

    lines = await _export(metadata, end=_Attestation(key))
    verdict = verify_export(lines, [each for each in kept if each is not None], [key.public_key])

    assert verdict.faults == ()
    assert (verdict.records, verdict.first, verdict.last, verdict.signed) == (9, 1, 9, 9)
    assert len(kept) == 2
    (told,) = await metadata.audit.page(AuditPageQuery(AuditFilter(action="audit.export"), 10))
    assert told.user_name == host_operator().name


async def test_an_export_with_another_key_or_another_chain_is_refused(
    metadata: Metadata, tmp_path: Path
) -> None:
    await _sealed(metadata, 3)
    await Checkpoints(metadata, KeyInMemory(), tmp_path / "one").run(0)
    lines = await _export(metadata)

    verdict = verify_export(lines, [], [KeyInMemory().public_key])

    assert [fault.kind for fault in verdict.faults] == [FaultKind.SIGNATURE, FaultKind.SIGNATURE]


async def test_a_range_of_times_is_exported_as_a_whole_piece_of_the_chain(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    await _add(metadata, 9)
    await database.fetch("UPDATE audit_records SET at = 1000 * (id - (SELECT min(id) FROM audit_records))")
    await Sealer(metadata).run()
    await Checkpoints(metadata, KeyInMemory(), tmp_path).run(0)

    verdict = verify_export(await _export(metadata, 3000, 6000), [], [])

    # From the beginning, since no checkpoint is of before these times, to the one that proves the last of them.
    assert (verdict.first, verdict.last, verdict.signed, verdict.faults) == (1, 9, 9, ())


async def test_a_log_without_acts_is_exported_as_signed_word_that_there_were_none(
    metadata: Metadata, tmp_path: Path
) -> None:
    """That it was is its first record."""
    key = KeyInMemory()
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, key, tmp_path), key)

    verdict = verify_export(await _export(metadata, 0, 500, end), [], [])

    assert (verdict.records, verdict.last, verdict.faults) == (0, 0, ())
    assert [one.sequence for one in await metadata.audit.checkpoints(1, 10)] == [1]


async def test_times_without_acts_are_exported_as_signed_word_that_there_were_none(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """Before the first record, between two, behind the last; also when all records of these times were purged."""
    key, kept = KeyInMemory(), tmp_path / "kept"
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, key, kept), key)
    await _add(metadata, 2)
    await database.fetch("UPDATE audit_records SET at = 1000 * (id - (SELECT min(id) FROM audit_records))")
    await Sealer(metadata).run()
    row = await sign_days_ago(metadata, key, 2, 300)

    for since, until in ((1, 500), (1500, 1600), (row.at - 5, row.at), (row.at, row.at + 5)):
        lines = await _export(metadata, since, until, end)
        checkpoints = await metadata.audit.checkpoints(1, 10)
        verdict = verify_export(lines, checkpoints, [key.public_key])
        assert (verdict.records, verdict.faults) == (2 if since == row.at else 0, ())
        assert (verdict.since, verdict.until) == (since, until)
        assert verdict.last == (row.sequence if until > row.at else 0)
    # It stands for its times only.
    header, *rest = await _export(metadata, row.at, row.at + 5, end)
    longer = header.replace(b'"since":%d' % row.at, b'"since":0')
    assert FaultKind.SIGNATURE in [fault.kind for fault in verify_export([longer, *rest], [], []).faults]
    await AuditPurge(metadata, 180).run(host_operator(), 200)
    verdict = verify_export(
        await _export(metadata, 0, 1001, end), await metadata.audit.checkpoints(1, 10), []
    )
    assert (verdict.records, verdict.last, verdict.faults) == (0, 2, ())


@pytest.mark.parametrize(
    ("statement", "kind", "sequence"),
    [
        ("UPDATE audit_records SET at = at + 1 WHERE sequence = 4", FaultKind.CHANGED, 4),
        ("UPDATE audit_records SET record_id = 'x' WHERE sequence = 4", FaultKind.CHANGED, 4),
        ("UPDATE audit_records SET user_name = 'eve' WHERE sequence = 3", FaultKind.CHANGED, 3),
        ("UPDATE audit_records SET project = '' WHERE sequence = 6", FaultKind.CHANGED, 6),
        ("UPDATE audit_records SET outcome = 'failure' WHERE sequence = 1", FaultKind.CHANGED, 1),
        ("DELETE FROM audit_records WHERE sequence IN (3, 4)", FaultKind.DROPPED, 5),
        ("DELETE FROM audit_records WHERE sequence = 1", FaultKind.DROPPED, 2),
        ("DELETE FROM audit_records WHERE sequence >= 5", FaultKind.TRUNCATED, 4),
        ("DELETE FROM audit_records", FaultKind.TRUNCATED, 0),
    ],
)
async def test_what_is_changed_by_hand_is_found_and_named(
    metadata: Metadata, database: RawDatabase, statement: str, kind: FaultKind, sequence: int
) -> None:
    await _sealed(metadata, 6)
    await database.fetch(statement)

    verdict = await _verdict(metadata)

    assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(kind, sequence)]


async def test_a_changed_body_or_disclosure_is_found_also_in_an_export(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _sealed(metadata, 4)
    replaced = "CAST(replace(CAST({0} AS TEXT), 'alice', 'eve') AS BLOB)"
    if not database.is_sqlite:
        replaced = "convert_to(replace(convert_from({0}, 'UTF8'), 'alice', 'eve'), 'UTF8')"
    await database.fetch(
        f"UPDATE audit_records SET disclosure = {replaced.format('disclosure')} WHERE sequence = 3"
    )

    in_database = await _verdict(metadata)
    exported = verify_export(await _export(metadata), [], [])

    for verdict in (in_database, exported):
        assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.DISCLOSURE, 3)]


async def test_a_log_that_is_made_anew_is_found_by_a_checkpoint_kept_elsewhere(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    await _sealed(metadata, 6)
    await Checkpoints(metadata, KeyInMemory(), tmp_path / "kept").run(0)
    kept = decode_checkpoint((tmp_path / "kept" / f"{6:020d}.json").read_bytes())
    assert kept is not None
    # The attacker drops a record, forgets the checkpoints and seals the rest again under the same name.
    await database.fetch("DELETE FROM audit_checkpoints")
    await database.fetch("DELETE FROM audit_records WHERE sequence = 2")
    await database.fetch("UPDATE audit_records SET sequence = NULL, chain_hash = NULL")
    await database.fetch("UPDATE audit_chain SET sequence = 0, chain_hash = purged_hash")
    await Sealer(metadata).run()
    assert (await _verdict(metadata)).is_sound

    shorter = await verify_database(metadata, [kept], [])
    await _sealed(metadata, 1)
    as_long = await verify_database(metadata, [kept], [])
    await database.fetch("DELETE FROM audit_chain")
    await database.fetch("UPDATE audit_records SET sequence = NULL, chain_hash = NULL")
    await Sealer(metadata).run()
    another = await verify_database(metadata, [kept], [])

    assert [(fault.kind, fault.sequence) for fault in shorter.faults] == [(FaultKind.TRUNCATED, 5)]
    assert [(fault.kind, fault.sequence) for fault in as_long.faults] == [(FaultKind.REPLACED, 6)]
    assert [(fault.kind, fault.sequence) for fault in another.faults] == [(FaultKind.FOREIGN, 6)]


async def test_what_follows_an_older_copy_of_the_database_is_judged_as_well(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """A checkpoint of what was lost with the copy stays a fault, and hides none behind it."""
    await _sealed(metadata, 2)
    await Checkpoints(metadata, KeyInMemory(), tmp_path / "kept").run(0)
    kept = decode_checkpoint((tmp_path / "kept" / f"{2:020d}.json").read_bytes())
    assert kept is not None
    await database.fetch("DELETE FROM audit_checkpoints")
    await database.fetch("DELETE FROM audit_records WHERE sequence = 2")
    await database.fetch(
        "UPDATE audit_chain SET sequence = 1, chain_hash = (SELECT chain_hash FROM audit_records WHERE sequence = 1)"
    )
    await _sealed(metadata, 4)

    gone_on = await verify_database(metadata, [kept], [])
    await database.fetch("UPDATE audit_records SET at = at + 1 WHERE sequence = 4")
    changed = await verify_database(metadata, [kept], [])

    assert [(fault.kind, fault.sequence) for fault in gone_on.faults] == [(FaultKind.REPLACED, 2)]
    assert (gone_on.first, gone_on.last) == (1, 5)
    assert [(fault.kind, fault.sequence) for fault in changed.faults] == [
        (FaultKind.CHANGED, 4),
        (FaultKind.REPLACED, 2),
    ]


async def test_old_records_are_purged_and_the_rest_can_be_proven(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    await _add(metadata, 7)
    await database.fetch(
        f"UPDATE audit_records SET at = at - {200 * _DAY} WHERE id < (SELECT max(id) - 2 FROM audit_records)"
    )
    await Sealer(metadata).run()
    await sign_days_ago(metadata, KeyInMemory(), 4, 199)
    await Checkpoints(metadata, KeyInMemory(), tmp_path).run(0)
    purge = AuditPurge(metadata, 190)

    planned = await purge.plan(195)
    assert (planned.records, planned.last, await metadata.audit.count(AuditFilter())) == (4, 4, 7)
    assert await purge.run(host_operator(), 195) == planned
    assert (await purge.run(host_operator(), 195)).records == 0
    await Sealer(metadata).run()

    verdict = await _verdict(metadata)
    assert (verdict.first, verdict.last, verdict.signed, verdict.faults) == (5, 8, 7, ())
    exported = verify_export(await _export(metadata), [], [])
    assert (exported.first, exported.last, exported.faults) == (5, 8, ())
    (told,) = await metadata.audit.page(AuditPageQuery(AuditFilter(action="audit.purge"), 10))
    assert b'"older_than_days":195' in told.body


@pytest.mark.parametrize(("days", "least"), [(179, 180), (199, 200)])
async def test_what_has_to_be_kept_is_not_purged(metadata: Metadata, days: int, least: int) -> None:
    with pytest.raises(AuditRetentionError, match=f"last {least} days"):
        await AuditPurge(metadata, least if least > 180 else 1).plan(days)


async def test_erased_personal_data_are_gone_and_the_chain_holds(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _sealed(metadata, 6)

    erasure, grant = AuditErasure(metadata), SystemGrant(DeleteUser, BOB)

    assert await erasure.subjects(grant, "alice") == [ALICE.subject]
    assert await erasure.count(grant, ALICE.subject) == 3
    erased = await erasure.erase(grant, ALICE.subject)
    again = await erasure.count(grant, ALICE.subject)
    await Sealer(metadata).run()

    assert (erased, again) == (3, 0)
    verdict = await _verdict(metadata)
    assert (verdict.records, verdict.erased, verdict.faults) == (7, 3, ())
    assert verify_export(await _export(metadata), [], []).faults == ()
    rows = await database.fetch("SELECT user_name, address, body, disclosure FROM audit_records")
    assert not [row for row in rows if "alice" in str(row) or "192.0.2.1'" in str(row)]


async def test_the_duties_take_over_seal_and_sign_and_their_metrics_tell(
    metadata: Metadata, tmp_path: Path
) -> None:
    registry = CollectorRegistry()
    metrics = build_metrics(registry)
    spool = AuditSpool(tmp_path / "spool", "none", metrics.audit_spool_failures.inc)
    checkpoints = Checkpoints(metadata, KeyInMemory(), tmp_path / "checkpoints")
    duties = (
        audit_drain_duty(tmp_path / "spool", metadata, "node", metrics),
        audit_seal_duty(Sealer(metadata), metadata, metrics),
        audit_checkpoint_duty(checkpoints, metadata, metrics, lambda: 300),
    )
    for duty in duties:
        await duty.run()
    await spool.note(pull_record())
    for duty in duties:
        await duty.run()

    verdict = await _verdict(metadata)
    assert (verdict.records, verdict.signed, verdict.faults) == (1, 1, ())
    assert registry.get_sample_value("registry_audit_unsealed") == 0
    assert (registry.get_sample_value("registry_audit_spool_bytes") or 0) > 500
    for name in ("drained", "checkpoint"):
        assert (registry.get_sample_value(f"registry_audit_{name}_timestamp_seconds") or 0) > 1_600_000_000
    await spool.aclose()


async def test_records_that_no_checkpoint_comes_for_are_told_by_their_age_8_1_4_3c(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """Also when signing fails; a note that came late counts from the checkpoint before, and nothing unsigned is 0."""

    class _Keyless(KeyInMemory):
        async def sign(self, content: bytes, key_id: str = "") -> CheckpointSignature:
            raise AuditUnavailableError("no key")

    registry = CollectorRegistry()
    metrics = build_metrics(registry)
    signing, failing = (
        audit_checkpoint_duty(
            Checkpoints(metadata, signer, tmp_path / "checkpoints"), metadata, metrics, lambda: 0
        )
        for signer in (KeyInMemory(), _Keyless())
    )

    def unsigned() -> float:
        return registry.get_sample_value("registry_audit_unsigned_seconds") or 0.0

    await _sealed(metadata, 2)
    await database.fetch("UPDATE audit_records SET at = at - 7200000")
    with pytest.raises(AuditUnavailableError):
        await failing.run()
    assert 7200 <= unsigned() < 7300
    await signing.run()
    assert unsigned() == 0

    await _sealed(metadata, 1)
    await database.fetch("UPDATE audit_records SET at = at - 7200000")
    await database.fetch("DELETE FROM audit_checkpoints")
    await sign_days_ago(metadata, KeyInMemory(), 2, 1 / 24)
    with pytest.raises(AuditUnavailableError):
        await failing.run()
    assert 3600 <= unsigned() < 3700
