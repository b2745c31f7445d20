"""A backlog of notes is taken over in long units, unless somebody else wants to write."""

from __future__ import annotations

import asyncio
import errno
import time
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.audit import drain as drain_module
from entrepot.audit.database_verification import verify_database
from entrepot.audit.drain import AuditDrain
from entrepot.audit.sealer import NewChain, add_sealed
from entrepot.audit.segments import segment_paths
from entrepot.audit.spool import AuditSpool
from entrepot.kernel.failpoints import Failpoint
from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.running.audit_material import pull_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

_BATCHES: Final = 10
_PATIENCE_SECONDS: Final = 30.0


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> list[Failpoint]:
    """Have batches of a few records, and return what grows with each unit of a drain."""
    reached: list[Failpoint] = []
    monkeypatch.setattr(drain_module, "_BATCH_BYTES", 4096)
    monkeypatch.setattr(drain_module, "reach", reached.append)
    return reached


async def _note(directory: Path) -> int:
    """Note what makes some batches, and return how many records it is."""
    spool = AuditSpool(directory, "none", lambda: None)
    count = 0
    while not count or segment_paths(directory)[0].stat().st_size < 4096 * _BATCHES:
        await spool.note(pull_record(count))
        count += 1
    await spool.aclose()
    return count


async def _damaged(directory: Path) -> AuditSpool:
    """Note three records, of which the one in the middle is damaged, and return their writer, which is open still."""
    spool = AuditSpool(directory, "none", lambda: None)
    for number in range(3):
        await spool.note(pull_record(number))
    (segment,) = segment_paths(directory)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0xFF
    segment.write_bytes(content)
    return spool


async def test_a_backlog_is_few_units_while_nobody_waits_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, units: list[Failpoint]
) -> None:
    """On PostgreSQL nobody can tell, so that each is short."""
    count = await _note(tmp_path / "spool")

    report = await AuditDrain(tmp_path / "spool", metadata, "node").run()

    drained = units.count(Failpoint.AUDIT_DRAINED)
    assert report.records == count
    assert drained == 2 if database.is_sqlite else drained > _BATCHES
    verdict = await verify_database(metadata, [], [])
    assert (verdict.records, verdict.faults) == (count, ())


@on_sqlite  # on PostgreSQL there are no turns
@pytest.mark.parametrize("is_same_process", [True, False])
async def test_who_comes_meanwhile_waits_for_one_batch(
    metadata: Metadata,
    database: RawDatabase,
    tmp_path: Path,
    units: list[Failpoint],
    monkeypatch: pytest.MonkeyPatch,
    is_same_process: bool,
) -> None:
    """By the queue of this process, or by the turnstile of all."""
    other = metadata if is_same_process else await open_metadata(database.url, 4, 10.0)
    loop = asyncio.get_running_loop()
    writes: list[asyncio.Task[None]] = []
    waited: list[bool] = []

    async def write_meanwhile() -> None:
        await other.write(lambda tx: tx.audit.append(pull_record(9_999)))

    async def add_and_let_one_come(
        tx: Transaction, beginning: NewChain, records: Sequence[NewAuditRecord]
    ) -> None:
        await add_sealed(tx, beginning, records)
        if not waited:
            waited.append(tx.audit_chain.others_wait())
            loop.call_soon_threadsafe(lambda: writes.append(loop.create_task(write_meanwhile())))
            give_up_at = time.monotonic() + _PATIENCE_SECONDS
            while not tx.audit_chain.others_wait() and time.monotonic() < give_up_at:
                time.sleep(0.01)  # noqa: ASYNC251  # a unit runs on the thread of the writer
            waited.append(tx.audit_chain.others_wait())

    monkeypatch.setattr(drain_module, "add_sealed", add_and_let_one_come)
    try:
        count = await _note(tmp_path / "spool")
        report = await AuditDrain(tmp_path / "spool", metadata, "node").run()
        await asyncio.gather(*writes)
    finally:
        if other is not metadata:
            await other.aclose()

    assert (report.records, waited) == (count, [False, True])
    assert units.count(Failpoint.AUDIT_DRAINED) == 3  # the first batch, and the rest as if nobody had come
    verdict = await verify_database(metadata, [], [])
    assert (verdict.records, verdict.unsealed, verdict.faults) == (count, 1, ())


async def test_a_damaged_file_is_kept_though_its_damage_was_found_in_an_earlier_run_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    spool = await _damaged(tmp_path / "spool")
    drain = AuditDrain(tmp_path / "spool", metadata, "node")
    first = await drain.run()
    await spool.aclose()

    second = await drain.run()

    assert (first.records, second.records) == (2, 0)
    assert first.damaged_bytes > 0
    assert [path.suffix for path in (tmp_path / "spool").iterdir()] == [".damaged"]


async def test_a_damaged_file_is_kept_though_a_disk_refused_to_rename_it_once_i11(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await _damaged(tmp_path / "spool")
    await spool.aclose()
    drain = AuditDrain(tmp_path / "spool", metadata, "node")

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "refused")

    monkeypatch.setattr(type(tmp_path), "rename", refuse)
    with pytest.raises(OSError, match="refused"):
        await drain.run()
    monkeypatch.undo()
    await drain.run()

    assert [path.suffix for path in (tmp_path / "spool").iterdir()] == [".damaged"]
