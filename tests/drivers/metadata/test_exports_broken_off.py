"""Records that go while they are exported, or were gone before, leave no export that passes for a whole one (I11).

Who purges believes that the export has what goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.errors import AuditExportBrokenOffError
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_operator, host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME
from tests.drivers.metadata.verified_while import Passing
from tests.running.audit_material import DAY, KeyInMemory, pull_record, sign_days_ago

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from entrepot.metadata.audit_store import AuditPageQuery, AuditRow
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_RECORDS = 1200
_OLD = 1100


@dataclass
class _Log:
    """A log of which the beginning may be purged, and where its checkpoints are kept."""

    metadata: Metadata
    directory: Path
    key: KeyInMemory = field(default_factory=KeyInMemory)

    async def fill(self) -> None:
        records = [pull_record(number) for number in range(_RECORDS)]
        await self.metadata.write(lambda tx: tx.audit.extend(records))
        await Sealer(self.metadata).run()
        await sign_days_ago(self.metadata, self.key, _OLD, 200)

    async def purge(self) -> None:
        assert (await AuditPurge(self.metadata, 180).run(host_operator(), 180)).last == _OLD

    async def export(
        self,
        lines: list[bytes],
        since: int = 0,
        behind: int = 0,
        then: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """Take the lines of an export; something happens once there are so many records among them."""
        end = SignedEnd(Sealer(self.metadata), Checkpoints(self.metadata, self.key, self.directory), self.key)
        export = AuditExport(self.metadata, end)
        begun = await export.begin(host_system_grant(ExportAuditLog), since, END_OF_TIME)
        records = 0
        async for line in export.lines(begun):
            lines.append(line + b"\n")
            records += b'"@timestamp"' in line
            if then is not None and records == behind:
                await then()
                then = None


@pytest.fixture
async def log(metadata: Metadata, tmp_path: Path) -> _Log:
    filled = _Log(metadata, tmp_path)
    await filled.fill()
    return filled


@pytest.mark.parametrize("behind", [0, 1, 600])
async def test_a_purge_that_overtakes_an_export_breaks_it_off_i11(log: _Log, behind: int) -> None:
    """Before its first record, and between those that were read and those that were to come."""
    lines: list[bytes] = []

    with pytest.raises(AuditExportBrokenOffError, match="a purge overtook the export: begin again") as error:
        await log.export(lines, behind=behind, then=log.purge)

    assert error.value.first == sum(b'"@timestamp"' in line for line in lines) + 1 > behind
    assert b'"type":"end"' not in lines[-1]
    assert not verify_export(lines, [], []).is_sound
    again: list[bytes] = []
    await log.export(again)
    verdict = verify_export(again, [], [])
    assert (verdict.first, verdict.faults) == (_OLD + 1, ())


async def test_a_purge_of_what_was_exported_breaks_nothing_off_i11(log: _Log) -> None:
    lines: list[bytes] = []
    await log.export(lines, behind=_OLD, then=log.purge)
    verdict = verify_export(lines, [], [])
    assert (verdict.first, verdict.last >= _RECORDS, verdict.faults) == (1, True, ())


@pytest.mark.parametrize("gone", ["sequence = 700", "sequence BETWEEN 501 AND 600", "sequence = 1"])
async def test_records_that_no_purge_has_removed_have_an_export_break_off_i11(
    log: _Log, database: RawDatabase, gone: str
) -> None:
    """It says how to find out more; times behind a checkpoint that is younger can be exported as before."""
    await database.fetch(f"DELETE FROM audit_records WHERE {gone}")
    lines: list[bytes] = []

    with pytest.raises(AuditExportBrokenOffError, match=r"no purge explains that: run entrepot audit verify"):
        await log.export(lines)

    assert b'"type":"end"' not in lines[-1]
    (newest, *_) = await database.fetch("SELECT max(at) FROM audit_records")
    (signed, *_) = await database.fetch(
        f"SELECT at FROM audit_checkpoints WHERE sequence > {_OLD} ORDER BY at LIMIT 1"
    )
    later: list[bytes] = []
    await log.export(later, since=max(newest[0], signed[0]) + 1)
    assert verify_export(later, [], []).faults == ()


@pytest.mark.parametrize("since", [0, END_OF_TIME - 1])
async def test_an_export_of_a_log_whose_end_is_gone_says_how_to_find_out_more_i11(
    log: _Log, database: RawDatabase, since: int
) -> None:
    """Also of times without records, which stand behind the end."""
    lines: list[bytes] = []
    await log.export(lines)
    await Sealer(log.metadata).run()
    end = await database.value("SELECT sequence FROM audit_chain")
    await database.fetch(f"DELETE FROM audit_records WHERE sequence > {end - 3}")

    with pytest.raises(AuditExportBrokenOffError, match=r": run entrepot audit verify --database"):
        await log.export(lines, since=since)


async def _seal_days_ago(metadata: Metadata, database: RawDatabase, days: int) -> None:
    await database.fetch(f"UPDATE audit_records SET at = at - {days * DAY} WHERE sequence IS NULL")
    await Sealer(metadata).run()


async def test_a_purge_that_takes_the_record_of_the_one_before_away_meanwhile_makes_no_cut_of_it_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """It comes between the looks at where the log begins and for the record that tells why."""
    key = KeyInMemory()
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(4)]))
    await _seal_days_ago(metadata, database, 400)
    await sign_days_ago(metadata, key, 3, 400)
    await AuditPurge(metadata, 180).run(host_operator(), 300)
    await metadata.write(lambda tx: tx.audit.append(pull_record(5)))
    await _seal_days_ago(metadata, database, 201)
    signed = await sign_days_ago(metadata, key, 6, 200)
    await metadata.write(lambda tx: tx.audit.extend([pull_record(6), pull_record(7)]))
    store, audit, purges = Passing(metadata), Passing(metadata.audit), [180]
    page = metadata.audit.page

    async def page_behind_a_purge(query: AuditPageQuery) -> Sequence[AuditRow]:
        if purges:
            assert (await AuditPurge(metadata, 180).run(host_operator(), purges.pop())).last == 6
        return await page(query)

    vars(store)["audit"], vars(audit)["page"] = audit, page_behind_a_purge
    passing: Any = store
    export = AuditExport(passing, SignedEnd(Sealer(metadata), Checkpoints(metadata, key, tmp_path), key))
    begun = await export.begin(host_system_grant(ExportAuditLog), signed.at + DAY, END_OF_TIME)
    lines = [line + b"\n" async for line in export.lines(begun)]

    assert purges == []
    assert verify_export(lines, [], [key.public_key]).faults == ()
    assert (begun.header.purged, begun.header.purge_record != "") == (6, True)
