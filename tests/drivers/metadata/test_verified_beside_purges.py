"""A purge beside the verification of a log is no fault, and a cut that is made meanwhile is one, on both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit.checkpoint_format import CheckpointContent
from entrepot.audit.proof import FaultKind
from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.host import host_operator
from entrepot.metadata.audit_store import CheckpointRow
from tests.drivers.metadata.verified_while import verified_while
from tests.running.audit_material import BOB, DAY, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.audit.verdict import AuditVerdict
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = KeyInMemory()
_UNPURGED = "no record of a purge tells why"


async def _old_log(metadata: Metadata, database: RawDatabase, records: int, signed: int) -> None:
    """Seal records of 400 days ago; up to one of them they were signed soon after."""
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number, BOB) for number in range(records)]))
    await database.fetch(f"UPDATE audit_records SET at = at - {400 * DAY}")
    await Sealer(metadata).run()
    await sign_days_ago(metadata, _KEY, signed, 300)


def _once(act: Callable[[], Awaitable[object]], read: int = 1) -> Callable[[], Awaitable[None]]:
    """Return what does it before this read of the chain, and nothing before the others."""
    reads = 0

    async def acting() -> None:
        nonlocal reads
        reads += 1
        if reads == read:
            await act()

    return acting


async def _cut(database: RawDatabase, last: int) -> None:
    """Do as a purge does, by hand."""
    await database.fetch(
        f"UPDATE audit_chain SET purged_sequence = {last}, "
        f"purged_hash = (SELECT chain_hash FROM audit_records WHERE sequence = {last})"
    )
    await database.fetch(f"DELETE FROM audit_records WHERE sequence <= {last}")


def _found(verdict: AuditVerdict) -> list[tuple[str, int]]:
    return [(fault.kind.value, fault.sequence) for fault in verdict.faults]


@pytest.mark.parametrize("purged", [3, 8])
async def test_a_purge_between_the_beginning_and_the_first_record_is_no_fault(
    metadata: Metadata, database: RawDatabase, purged: int
) -> None:
    """Neither is one of all that was sealed, whose own record waits."""
    await _old_log(metadata, database, 8, purged)

    verdict = await verified_while(
        metadata, _once(lambda: AuditPurge(metadata, 180).run(host_operator(), 200))
    )

    assert (verdict.faults, verdict.first, verdict.last) == ((), purged + 1, 8)
    assert (verdict.records, verdict.unsealed) == (8 - purged, 1)


async def test_a_purge_that_overtakes_the_walk_is_no_fault_and_hides_none_that_was_seen(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Batches have 500 records each. What was found to be another chain's was found, though it is purged."""
    await _old_log(metadata, database, 1200, 1100)
    other = await _checkpoint_of_another_chain(metadata, 7)

    verdict = await verified_while(
        metadata, _once(lambda: AuditPurge(metadata, 180).run(host_operator(), 200), read=2), kept=[other]
    )

    assert _found(verdict) == [("replaced", 7)]
    assert (verdict.first, verdict.last) == (1101, 1200)


async def _checkpoint_of_another_chain(metadata: Metadata, sequence: int) -> CheckpointRow:
    """Return one that is sound by itself, signed 300 days ago."""
    chain = await metadata.audit.chain()
    assert chain is not None
    link, at = "ab" * 32, chain.now - 300 * DAY
    signed = msgspec.json.encode(
        CheckpointContent(1, chain.chain_id, chain.algorithm, sequence, link, at), order="deterministic"
    )
    made = await _KEY.sign(signed)
    return CheckpointRow(
        sequence, link, made.algorithm, made.key_id, made.public_key, signed, made.signature, at
    )


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_a_beginning_that_is_cut_off_meanwhile_is_found(
    metadata: Metadata, database: RawDatabase, is_recorded: bool
) -> None:
    """By the checkpoint that is too young for a purge, and without a made up record by that as well."""
    await _old_log(metadata, database, 8, 1)
    young = await sign_days_ago(metadata, _KEY, 3, 20)

    async def cut() -> None:
        await _cut(database, 4)
        await database.fetch("DELETE FROM audit_checkpoints")
        if is_recorded:
            record = audit_record(
                host_operator(),
                AuditAction.AUDIT_PURGE,
                AuditObject("audit-log", ""),
                before={"first": 1},
                after={"first": 5},
            )
            await metadata.write(lambda tx: tx.audit.append(record))

    verdict = await verified_while(metadata, _once(cut), kept=[young])

    assert _found(verdict) == [("truncated", 3), ("truncated", 4)][: 1 if is_recorded else 2]
    assert "its beginning was cut off" in verdict.faults[0].message
    assert [_UNPURGED in fault.message for fault in verdict.faults[1:]] == [True] * (not is_recorded)


@pytest.mark.parametrize("dropped", [4, 6])
async def test_what_is_dropped_behind_a_purge_meanwhile_is_found(
    metadata: Metadata, database: RawDatabase, dropped: int
) -> None:
    """Right behind it, where both leave one gap, or later."""
    await _old_log(metadata, database, 8, 3)

    async def purge_and_drop() -> None:
        await AuditPurge(metadata, 180).run(host_operator(), 200)
        await database.fetch(f"DELETE FROM audit_records WHERE sequence = {dropped}")

    verdict = await verified_while(metadata, _once(purge_and_drop))

    assert [kind for kind, _ in _found(verdict)] == ["dropped"]
    assert verdict.faults[0].sequence == dropped + 1


async def test_a_beginning_that_never_rests_ends_the_verification_with_a_fault(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Somebody who moves it before each read keeps nobody waiting for ever."""
    await _old_log(metadata, database, 40, 1)
    last = 0

    async def cut_more() -> None:
        nonlocal last
        last += 1
        await _cut(database, last)

    verdict = await verified_while(metadata, cut_more)

    kinds = {fault.kind for fault in verdict.faults}
    assert FaultKind.DROPPED in kinds
    assert any(_UNPURGED in fault.message for fault in verdict.faults)
    assert last < 30
