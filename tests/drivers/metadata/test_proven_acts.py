"""Only records that the chain proves explain what is missing from the log: erasures, purges, settings. Both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit.applied_settings import last_applied
from entrepot.audit.chain import link_hash
from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.database_verification import verify_database
from entrepot.audit.erasure import AuditErasure, recorded_erasures
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.grants import SystemGrant
from entrepot.auth.host import host_operator, host_system_grant
from entrepot.auth.system_actions import DeleteUser, ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME
from tests.drivers.metadata.forged_rows import FORGED, forge, literal
from tests.drivers.metadata.verified_while import verified_while
from tests.running.audit_material import ALICE, BOB, KeyInMemory, pull_record

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.audit.verdict import AuditVerdict
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = KeyInMemory()
_UNACCOUNTED = "no record of an erasure t"
_UNPURGED = "no record of a purge tells why"
_PLACES = [-2, 0, 9]
"""Before the chain, and behind its end."""


async def _sealed(metadata: Metadata, count: int) -> None:
    records = [pull_record(number, (ALICE, BOB)[number % 2]) for number in range(count)]
    await metadata.write(lambda tx: tx.audit.extend(records))
    await Sealer(metadata).run()


async def _wipe(database: RawDatabase, subject: str) -> None:
    await database.fetch(
        "UPDATE audit_records SET disclosure = NULL, user_name = '', address = '' "
        f"WHERE subject = '{subject}'"
    )


def _erasure(subject: str) -> NewAuditRecord:
    return audit_record(host_operator(), AuditAction.AUDIT_ERASE, AuditObject("user", subject))


async def _exported(metadata: Metadata, directory: Path, until: int = END_OF_TIME) -> AuditVerdict:
    """Return what a signed export proves."""
    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, _KEY, directory), _KEY)
    export = AuditExport(metadata, end)
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, until)
    return verify_export([line + b"\n" async for line in export.lines(begun)], [], [_KEY.public_key])


def _messages(verdict: AuditVerdict, kind: str) -> str:
    return "; ".join(fault.message for fault in verdict.faults if fault.kind == kind)


@pytest.mark.parametrize("sequence", _PLACES)
@pytest.mark.parametrize("body", [None, b"{}"])
async def test_personal_data_that_were_wiped_are_not_erased_by_a_row_that_is_in_no_chain(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, sequence: int, body: bytes | None
) -> None:
    """Neither the verification of the database nor the word that the registry signs takes it for a record."""
    await _sealed(metadata, 6)
    await _wipe(database, ALICE.subject)
    await forge(database, _erasure(ALICE.subject), key=900, sequence=sequence, body=body)

    verdict = await verify_database(metadata, [], [])
    assert (verdict.erased, verdict.unaccounted) == (3, 3)
    assert _UNACCOUNTED in _messages(verdict, "disclosure")
    assert FORGED in {fault.record_id for fault in verdict.faults}

    # The word is about the whole log; the times hold no row of the forger's.
    if sequence <= 0:
        exported = await _exported(metadata, tmp_path)
        assert (exported.erased, exported.unaccounted) == (3, 3)
        assert _UNACCOUNTED in _messages(exported, "disclosure")


async def test_a_waiting_row_with_another_content_erases_nothing(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Nor does one that lists hide; what the sealer will take as it stands does."""
    await _sealed(metadata, 6)
    await _wipe(database, ALICE.subject)
    for key, body in ((900, b"{}"), (-9, None)):
        await forge(database, _erasure(ALICE.subject), key=key, sequence=None, body=body)
        assert (await verify_database(metadata, [], [])).unaccounted == 3
        assert await _recorded(metadata, ALICE.subject) == frozenset()
        await database.fetch(f"DELETE FROM audit_records WHERE id = {key}")

    await metadata.write(lambda tx: tx.audit.append(_erasure(ALICE.subject)))
    verdict = await verify_database(metadata, [], [])
    assert (verdict.unaccounted, verdict.faults) == (0, ())


async def test_a_record_that_was_turned_into_an_erasure_with_its_own_link_is_none(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """The record behind it is linked to what it was; an export of earlier times holds neither of the two."""
    old = [msgspec.structs.replace(pull_record(number), at_milliseconds=1000) for number in range(4)]
    await metadata.write(lambda tx: tx.audit.extend(old))
    await Sealer(metadata).run()
    await Checkpoints(metadata, _KEY, tmp_path).run(0)
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number, BOB) for number in (9, 10)]))
    await Sealer(metadata).run()
    await _wipe(database, ALICE.subject)
    record = _erasure(ALICE.subject)
    before, changed = await metadata.audit.links(3, 2)
    record_id = await database.value("SELECT record_id FROM audit_records WHERE sequence = 5")
    link = link_hash("sha256", before.chain_hash, 5, record_id, changed.at, record.body)
    await database.fetch(
        f"UPDATE audit_records SET action = '{record.action}', subject = '{record.subject}', project = '', "
        f"object_kind = 'user', object_name = '{ALICE.subject}', request_id = '', user_name = '{record.user_name}', "
        f"address = '{record.address}', body = {literal(database, record.body)}, "
        f"disclosure = {literal(database, record.disclosure)}, chain_hash = '{link}' WHERE sequence = 5"
    )

    exported = await _exported(metadata, tmp_path, until=2000)

    assert (exported.last, exported.erased, exported.unaccounted) == (4, 4, 4)
    assert _UNACCOUNTED in _messages(exported, "disclosure")
    faults = [(fault.kind, fault.sequence) for fault in (await verify_database(metadata, [], [])).faults]
    assert faults == [("changed", 6)]


async def _recorded(metadata: Metadata, subject: str) -> frozenset[str]:
    return await recorded_erasures(metadata, {subject})


async def test_an_erasure_counts_in_its_place_and_at_the_end_of_the_chain(metadata: Metadata) -> None:
    await _sealed(metadata, 3)
    await AuditErasure(metadata).erase(SystemGrant(DeleteUser, BOB), ALICE.subject)
    assert await _recorded(metadata, ALICE.subject) == {ALICE.subject}
    await Sealer(metadata).run()
    assert await _recorded(metadata, ALICE.subject) == {ALICE.subject}
    await _sealed(metadata, 1)
    assert await _recorded(metadata, ALICE.subject) == {ALICE.subject}
    assert await _recorded(metadata, BOB.subject) == frozenset()


@pytest.mark.parametrize("sequence", [-2, 0])
async def test_a_cut_does_not_pass_for_a_purge_by_a_row_that_is_in_no_chain(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, sequence: int
) -> None:
    await _sealed(metadata, 6)
    await database.fetch(
        "UPDATE audit_chain SET purged_sequence = 4, "
        "purged_hash = (SELECT chain_hash FROM audit_records WHERE sequence = 4)"
    )
    await database.fetch("DELETE FROM audit_records WHERE sequence <= 4")
    purge = audit_record(
        host_operator(),
        AuditAction.AUDIT_PURGE,
        AuditObject("audit-log", ""),
        before={"first": 1},
        after={"first": 5},
    )
    await forge(database, purge, key=900, sequence=sequence)

    assert _UNPURGED in _messages(await verify_database(metadata, [], []), "truncated")
    assert _UNPURGED in _messages(await _exported(metadata, tmp_path), "truncated")


async def test_settings_are_compared_with_what_the_chain_says_was_applied(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Else the next change of them would leave no record."""

    def applied(value: str) -> NewAuditRecord:
        about, after = AuditObject("settings", "node-1"), {"in_force": {"lockout.attempts": value}}
        return audit_record(host_operator(), AuditAction.SETTINGS_APPLY, about, after=after)

    await metadata.write(lambda tx: tx.audit.append(applied("5")))
    await Sealer(metadata).run()
    await forge(database, applied("500"), key=900, sequence=-1)
    assert (await last_applied(metadata, "node-1")).in_force == {"lockout.attempts": "5"}

    await metadata.write(lambda tx: tx.audit.append(applied("7")))
    assert (await last_applied(metadata, "node-1")).in_force == {"lockout.attempts": "7"}


async def test_an_erasure_that_is_sealed_right_behind_the_walk_is_accounted_for(metadata: Metadata) -> None:
    """Its record waits while the walk passes, and is in the chain before what waits is looked at."""
    await _sealed(metadata, 4)
    done: list[str] = []

    async def erase() -> None:
        if not done:
            done.append("erased")
            await AuditErasure(metadata).erase(SystemGrant(DeleteUser, BOB), ALICE.subject)

    async def seal() -> None:
        if done == ["erased"]:
            done.append("sealed")
            await Sealer(metadata).run()

    verdict = await verified_while(metadata, erase, seal)

    assert (verdict.erased, verdict.unaccounted, verdict.faults) == (2, 0, ())
    assert done == ["erased", "sealed"]


async def test_an_erasure_of_records_that_came_behind_the_walk_is_accounted_for(metadata: Metadata) -> None:
    """What waits was looked at before it was recorded, and is looked at again."""
    await _sealed(metadata, 4)
    looked: list[int] = []

    async def add_and_erase() -> None:
        if len(looked) == 1:
            looked.append(0)
            await _sealed(metadata, 1)
            await AuditErasure(metadata).erase(SystemGrant(DeleteUser, BOB), ALICE.subject)

    async def look() -> None:
        looked.append(1)

    verdict = await verified_while(metadata, add_and_erase, look)

    assert (verdict.records, verdict.erased, verdict.unaccounted, verdict.faults) == (5, 1, 0, ())
    assert looked[:2] == [1, 0]
