"""A purge by a clock that was set back is a purge, and no record dated ahead hides a cut, on both engines (F27)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.database_verification import verify_database
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_operator, host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME, ChainState
from tests.drivers.metadata.made_up_purges import cut_beginning, lie_about_a_purge
from tests.drivers.metadata.verified_while import Passing
from tests.running.audit_material import BOB, DAY, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.audit_store import CheckpointRow
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = KeyInMemory()
_CUT = "its beginning was cut off, which no purge does"


async def _old_log(metadata: Metadata, database: RawDatabase) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number, BOB) for number in range(6)]))
    await database.fetch(f"UPDATE audit_records SET at = at - {400 * DAY}")
    await Sealer(metadata).run()


def _of_clock_ahead(metadata: Metadata, days: int) -> Any:
    """Return the store as its chain is read while the database's clock is so many days ahead."""
    store, audit = Passing(metadata), Passing(metadata.audit)

    async def chain() -> ChainState | None:
        found = await metadata.audit.chain()
        return None if found is None else replace(found, now=found.now + days * DAY)

    vars(store)["audit"], vars(audit)["chain"] = audit, chain
    return store


async def _date_ahead(database: RawDatabase, days: int) -> None:
    await database.fetch(f"UPDATE audit_records SET at = at + {days * DAY} WHERE sequence IS NULL")


async def _cut_with_a_record_dated_ahead(metadata: Metadata, database: RawDatabase, days: int) -> None:
    """Cut off three records as a purge does, by hand, and make up the record of one."""
    await cut_beginning(database, 3)
    await lie_about_a_purge(metadata, 1, 4)
    await _date_ahead(database, days)


async def _messages(metadata: Metadata, kept: list[CheckpointRow]) -> list[str]:
    return [fault.message for fault in (await verify_database(metadata, kept, [])).faults]


@pytest.mark.parametrize("days", [2, 5])
async def test_a_purge_is_one_after_the_clock_was_set_back_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, days: int
) -> None:
    """While its record waits, when it is sealed, when it is signed, and in an export of then."""
    await _old_log(metadata, database)
    kept = [await sign_days_ago(metadata, _KEY, 3, 181 - days)]
    plan = await AuditPurge(_of_clock_ahead(metadata, days), 180).run(host_operator(), 180)
    await _date_ahead(database, days)

    assert (plan.records, plan.last) == (3, 3)
    assert await _messages(metadata, kept) == []
    await Sealer(metadata).run()
    assert await _messages(metadata, kept) == []
    kept.append(await sign_days_ago(metadata, _KEY, 7, -days))
    assert await _messages(metadata, kept) == []

    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, _KEY, tmp_path), _KEY)
    export = AuditExport(metadata, end)
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    lines = [line + b"\n" async for line in export.lines(begun)]
    assert verify_export(lines, kept, []).faults == ()
    # That it was made is signed by the clock that was put right.
    assert [one.sequence for one in await metadata.audit.checkpoints(1, 100)] == [3, 7, 8]
    assert await _messages(metadata, kept) == []


@pytest.mark.parametrize(("signed", "ahead"), [(20, 200), (170, 12), (174, 5)])
async def test_a_cut_is_found_however_far_ahead_the_made_up_record_of_a_purge_is_dated(
    metadata: Metadata, database: RawDatabase, signed: int, ahead: int
) -> None:
    """Nothing is believed of it that is further ahead than a week, nor more than what the checkpoint lacks."""
    await _old_log(metadata, database)
    kept = [await sign_days_ago(metadata, _KEY, 2, signed)]
    await _cut_with_a_record_dated_ahead(metadata, database, ahead)

    assert [_CUT in message for message in await _messages(metadata, kept)] == [True]
    await Sealer(metadata).run()
    assert [_CUT in message for message in await _messages(metadata, kept)] == [True]


async def test_a_cut_is_found_though_the_databases_clock_is_a_year_ahead_when_it_is_verified(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Who owns the database sets its clock; that of the machine that verifies is not his."""
    await _old_log(metadata, database)
    kept = [await sign_days_ago(metadata, _KEY, 3, 20)]
    await cut_beginning(database, 3)
    await lie_about_a_purge(metadata, 1, 4)
    await Sealer(metadata).run()

    assert [_CUT in message for message in await _messages(_of_clock_ahead(metadata, 365), kept)] == [True]


async def test_a_record_of_a_purge_that_is_dated_behind_its_signature_is_not_believed(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """The next checkpoint tells when it was there already; kept elsewhere, it can't be taken away either."""
    await _old_log(metadata, database)
    kept = [await sign_days_ago(metadata, _KEY, 2, 176)]
    await _cut_with_a_record_dated_ahead(metadata, database, 6)
    await Sealer(metadata).run()

    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    assert [_CUT in message for message in await _messages(metadata, kept)] == [True]

    kept += await metadata.audit.checkpoints(7, 1)
    await database.fetch("DELETE FROM audit_checkpoints")
    assert len(kept) == 2
    assert [_CUT in message for message in await _messages(metadata, kept)] == [True]
