"""Rows of checkpoints that whoever owns the database made up hold up no signature, on both engines (I11)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog.testing
from prometheus_client import CollectorRegistry

from entrepot.audit import checkpoints as checkpoints_module
from entrepot.audit.checkpoint_format import decode_checkpoint, name_of_signed
from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.database_verification import verify_database
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME
from entrepot.metadata.key_store import NewSigningKey
from entrepot.observability.metrics import build_metrics
from entrepot.workers.audit_upkeep import audit_checkpoint_duty
from tests.drivers.metadata.verified_while import Passing
from tests.running.audit_material import DAY, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from entrepot.metadata.audit_store import ChainState, CheckpointRow
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase


@dataclass
class _Own(KeyInMemory):
    """A key of a ring that has no other one."""

    asked: int = 0

    async def owns(self, key_id: str, public_key: bytes) -> bool:
        self.asked += 1
        return public_key == self.public_key


async def _add(metadata: Metadata, count: int = 1) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(count)]))
    await Sealer(metadata).run()


async def _put(metadata: Metadata, row: CheckpointRow) -> None:
    assert await metadata.write(lambda tx: tx.audit_chain.add_checkpoint(row))


async def _made_up(metadata: Metadata, real: CheckpointRow, kind: str) -> CheckpointRow:
    """Return a row behind the real one by which the chain would be signed, of this moment."""
    chain = await metadata.audit.chain()
    assert chain is not None
    content = msgspec.json.decode(real.signed)
    here = {"sequence": chain.sequence, "hash": chain.chain_hash, "at": chain.now}
    signed = msgspec.json.encode(content | here)
    row = replace(real, sequence=chain.sequence, chain_hash=chain.chain_hash, signed=signed, at=chain.now)
    if kind == "beyond the end":
        return replace(real, sequence=2**40, at=chain.now)
    if kind == "not what was signed":
        return replace(row, signed=real.signed)
    if kind == "nobody signed":
        return row
    if kind == "none of this":
        made = await KeyInMemory().sign(signed)
        return replace(row, public_key=made.public_key, signature=made.signature)
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["beyond the end", "not what was signed", "nobody signed", "none of this"])
async def test_a_made_up_checkpoint_is_passed_over_told_of_and_holds_up_no_signature_i11(
    metadata: Metadata, tmp_path: Path, kind: str
) -> None:
    """Also in the place of the one that is due; it is told of once in a period, and the metric goes by the real one."""
    key, registry = _Own(), CollectorRegistry()
    await _add(metadata, 2)
    real = await sign_days_ago(metadata, key, 2, 1)
    await _add(metadata)
    await _put(metadata, await _made_up(metadata, real, kind))
    checkpoints = Checkpoints(metadata, key, tmp_path)
    duty = audit_checkpoint_duty(checkpoints, metadata, build_metrics(registry), lambda: 3 * DAY // 1000)

    with structlog.testing.capture_logs() as lines:
        await duty.run()
        await duty.run()
        found = await checkpoints.look()
        told = [line for line in lines if line["event"] == "audit.checkpoint.refused"]
        assert registry.get_sample_value("registry_audit_checkpoint_timestamp_seconds") == real.at / 1000
        signed = await checkpoints.run(300)

    assert signed
    assert [(line["log_level"], kind in line["reason"]) for line in told] == [("error", True)]
    assert (found.last, [kind in one.reason for one in found.refused]) == (real, [True])
    last = (await checkpoints.look()).last
    assert last is not None
    assert msgspec.json.decode(last.signed)["previous"] == name_of_signed(real.signed)
    assert _files(tmp_path) == [real, last]
    if kind != "beyond the end":
        assert (await verify_database(metadata, [], [])).faults == ()


async def _between(metadata: Metadata, real: CheckpointRow, kind: str) -> CheckpointRow:
    """Return a row like that, dated before all records and in a place that is not the last any more."""
    row = await _made_up(metadata, real, kind)
    if kind == "not what was signed":
        return replace(row, at=1)
    signed = msgspec.json.encode(msgspec.json.decode(row.signed) | {"at": 1, "node_at": 1})
    if kind == "nobody signed":
        return replace(row, at=1, signed=signed)
    made = await KeyInMemory().sign(signed)
    return replace(row, at=1, signed=signed, public_key=made.public_key, signature=made.signature)


@pytest.mark.parametrize("kind", ["not what was signed", "nobody signed", "none of this"])
async def test_a_made_up_checkpoint_between_good_ones_spoils_no_export_and_is_told_of_i11(
    metadata: Metadata, tmp_path: Path, kind: str
) -> None:
    """Exports that begin before it, at it and behind it: none holds it, begins behind it or ends with it."""
    key = _Own()
    await _add(metadata, 2)
    real = await sign_days_ago(metadata, key, 2, 2)
    await _add(metadata)
    row = await _between(metadata, real, kind)
    await _put(metadata, row)
    await _add(metadata, 2)
    second = await sign_days_ago(metadata, key, 5, 1)
    await _add(metadata, 2)
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, key, tmp_path), key)

    for since, until in (
        (0, END_OF_TIME),
        (2, END_OF_TIME),
        (2, 3),
        (0, real.at),
        (second.at + 1, END_OF_TIME),
    ):
        export = AuditExport(metadata, end)
        with structlog.testing.capture_logs() as told:
            begun = await export.begin(host_system_grant(ExportAuditLog), since, until)
            lines = [line + b"\n" async for line in export.lines(begun)]

        held = [one.sequence for line in lines if (one := decode_checkpoint(line.rstrip())) is not None]
        assert (row.sequence in held, len(held)) == (False, len(set(held)))
        assert begun.header.after in {0, 5}
        for kept, keys in (((), ()), ((real, second), (key.public_key,))):
            verdict = verify_export(lines, kept, keys)
            assert (since, until, verdict.faults, verdict.uncovered) == (since, until, (), None)
        refused = [line for line in told if line["event"] == "audit.checkpoint.refused"]
        is_within = begun.header.after < row.sequence
        assert [(line["sequence"], kind in line["reason"]) for line in refused] == [(3, True)] * is_within


async def test_what_a_key_signed_before_it_was_revoked_is_in_no_export_and_accuses_nobody(
    metadata: Metadata, tmp_path: Path
) -> None:
    """Only the database tells a revoked key from a stranger's."""
    key, revoked = _Own(), KeyInMemory()
    await _add(metadata, 2)
    old = await sign_days_ago(metadata, revoked, 2, 2)
    await _add(metadata)
    row = NewSigningKey("key-1", "audit", "ES256", revoked.public_key, b"", "")
    await metadata.write(lambda tx: tx.signing_keys.add(row, "active"))
    await metadata.write(lambda tx: tx.signing_keys.set_state("key-1", "revoked"))
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, key, tmp_path), key)
    export = AuditExport(metadata, end)

    with structlog.testing.capture_logs() as told:
        begun = await export.begin(host_system_grant(ExportAuditLog), old.at + 1, END_OF_TIME)
        lines = [line + b"\n" async for line in export.lines(begun)]

    assert verify_export(lines, (), (key.public_key,)).faults == ()
    assert begun.header.after == 0
    # The duty that signs tells of it while it is the last one; the export does not.
    assert [line["remedy"] for line in told if "export goes on" in line.get("remedy", "")] == []


def _files(directory: Path) -> list[CheckpointRow | None]:
    return [decode_checkpoint(path.read_bytes()) for path in sorted(directory.glob("*.json"))]


async def test_a_checkpoint_of_a_chain_that_was_rewritten_behind_it_counts_for_nothing_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    """It has a good signature, and the chain another link there."""
    key = _Own()
    await _add(metadata, 2)
    real = await sign_days_ago(metadata, key, 1, 1)
    content = msgspec.json.decode(real.signed) | {"sequence": 2, "hash": "00" * 32}
    other = msgspec.json.encode(content)
    made = await key.sign(other)
    await _put(
        metadata, replace(real, sequence=2, chain_hash="00" * 32, signed=other, signature=made.signature)
    )

    found = await Checkpoints(metadata, key, tmp_path).look()

    assert (found.last, [one.reason for one in found.refused]) == (real, ["the chain has another link there"])


async def test_the_registrys_own_checkpoint_is_judged_once_and_not_at_each_look(
    metadata: Metadata, tmp_path: Path
) -> None:
    key = _Own()
    await _add(metadata, 2)
    await sign_days_ago(metadata, key, 2, 0)
    checkpoints = Checkpoints(metadata, key, tmp_path)
    for _ in range(3):
        assert not await checkpoints.run(300)
    assert key.asked == 1
    await _add(metadata)
    assert await checkpoints.run(0)
    assert not await checkpoints.run(300)
    assert key.asked == 1


async def test_a_clock_of_the_database_that_stands_still_stops_no_signature_f27(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a period by the clock of the process that nobody sets, and not before."""
    key = _Own()
    await _add(metadata, 2)
    signed = await sign_days_ago(metadata, key, 2, 0)
    audit, store = Passing(metadata.audit), Passing(metadata)
    chain_now = metadata.audit.chain

    async def chain() -> ChainState | None:
        found = await chain_now()
        return None if found is None else replace(found, now=signed.at)

    vars(audit)["chain"], vars(store)["audit"] = chain, audit
    passed = [0.0]
    monkeypatch.setattr(checkpoints_module, "time", _Clock(passed))
    standing: Any = store
    checkpoints = Checkpoints(standing, key, tmp_path)
    seen: list[bool] = []
    for seconds in (0, 299, 300, 301, 600):
        passed[0] = seconds
        await _add(metadata)
        seen.append(await checkpoints.run(300))

    assert seen == [False, False, True, False, True]


@dataclass
class _Clock:
    """The module `time` as far as checkpoints use it."""

    passed: list[float]

    def monotonic(self) -> float:
        return self.passed[0]


async def test_a_made_up_checkpoint_that_is_dated_beyond_all_times_holds_up_no_signature_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    """Rows in the places of the next ends, of a time that no search by time comes to."""
    key = _Own()
    await _add(metadata, 2)
    real = await sign_days_ago(metadata, key, 2, 1)
    for place in range(3, 6):
        await _put(metadata, replace(real, sequence=place, at=END_OF_TIME + place))
    checkpoints = Checkpoints(metadata, key, tmp_path)

    signed: list[bool] = []
    for _ in range(3):
        await _add(metadata)
        signed.append(await checkpoints.run(0))

    assert signed == [True, True, True]
    assert (await verify_database(metadata, [], [key.public_key])).faults == ()


async def test_an_export_of_times_without_acts_reaches_what_a_key_signed_before_it_was_revoked(
    metadata: Metadata, tmp_path: Path
) -> None:
    """Who kept that checkpoint asks for it: it was signed before the end of these times."""
    key, revoked = _Own(), KeyInMemory()
    await _add(metadata, 2)
    old = await sign_days_ago(metadata, revoked, 2, 2)
    row = NewSigningKey("key-1", "audit", "ES256", revoked.public_key, b"", "")
    await metadata.write(lambda tx: tx.signing_keys.add(row, "active"))
    await metadata.write(lambda tx: tx.signing_keys.set_state("key-1", "revoked"))
    await _add(metadata)
    export = AuditExport(metadata, SignedEnd(Sealer(metadata), Checkpoints(metadata, key, tmp_path), key))

    begun = await export.begin(host_system_grant(ExportAuditLog), old.at + 1000, old.at + DAY)
    lines = [line + b"\n" async for line in export.lines(begun)]

    for keys in ((), (key.public_key, revoked.public_key)):
        assert verify_export(lines, [old], keys).faults == ()
    assert [one for line in lines if (one := decode_checkpoint(line.rstrip())) is not None] == []


@pytest.mark.parametrize("place", ["2 + i", "2000 + i"])
async def test_made_up_checkpoints_by_the_thousand_hold_up_no_export_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, counts: CountingObserver, place: str
) -> None:
    """In the place of all ends, or beyond the chain: one statement puts a million of them there."""
    key = _Own()
    await _add(metadata, 1200)
    real = await sign_days_ago(metadata, key, 2, 1)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1190)"
    await database.fetch(
        f"{numbers} INSERT INTO audit_checkpoints SELECT {place}, chain_hash, algorithm, key_id, public_key, signed, "
        "signature, at FROM audit_checkpoints, n"
    )
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, key, tmp_path), key)
    export = AuditExport(metadata, end)
    before = counts.statements.total()

    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)

    assert counts.statements.total() - before < 300
    lines = [line + b"\n" async for line in export.lines(begun)]
    assert verify_export(lines, [real], [key.public_key]).faults == ()


async def test_what_a_stranger_signed_does_not_accuse_the_log_once_its_row_is_removed_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """Its file, and copies of that where checkpoints are kept for good, would for ever; the log tells of it."""
    key = _Own()
    await _add(metadata, 2)
    real = await sign_days_ago(metadata, key, 2, 2)
    await _add(metadata)
    signed = msgspec.json.encode(msgspec.json.decode(real.signed) | {"sequence": 3, "hash": "00" * 32})
    made = await KeyInMemory().sign(signed)
    row = replace(real, sequence=3, chain_hash="00" * 32, signed=signed, public_key=made.public_key)
    await _put(metadata, replace(row, signature=made.signature))
    await _add(metadata)
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, key, tmp_path), key)
    export = AuditExport(metadata, end)

    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    lines = [line + b"\n" async for line in export.lines(begun)]
    await database.fetch("DELETE FROM audit_checkpoints WHERE sequence = 3")  # as docs/how-to/audit.md says

    kept = [one for one in _files(tmp_path) if one is not None]
    assert [one.public_key == key.public_key for one in kept] == [True] * len(kept) != []
    for keys in ((), (key.public_key,)):
        assert verify_export(lines, kept, keys).faults == ()
        assert (await verify_database(metadata, kept, keys)).faults == ()
