"""The audit log's work is killed at every step: each act that was answered has exactly one record (I11, F1, F45)."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from entrepot.audit.checkpoint_format import decode_checkpoint
from entrepot.audit.database_verification import verify_database
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.faults.audit_server import AuditOrder, AuditServer
from tests.running.audit_material import pull_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from entrepot.audit.verdict import AuditVerdict

_OLD = 200 * 24 * 60 * 60 * 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditServer]:
    """One server for all crashes of this module."""
    server = AuditServer(tmp_path_factory.mktemp("audit-crashes"))
    yield server
    server.close()


class _Node:
    """A data directory, and what is done on it."""

    def __init__(self, directory: Path, server: AuditServer) -> None:
        self.directory = directory
        self._server = server
        self._acknowledged = directory / "acknowledged"
        self.database = RawDatabase(f"sqlite://{directory}/metadata.db")
        asyncio.run(initialise_if_empty(self.database.url, unheard))

    def run(self, work: str, failpoints: str = "") -> int:
        """Do some work and return the signal that ended it."""
        return self._server.order(
            AuditOrder(work, str(self.directory), str(self._acknowledged), failpoints)
        ).signal

    def acknowledged(self) -> list[str]:
        return self._acknowledged.read_text().split()

    def leftovers(self) -> list[str]:
        return [path.name for path in (self.directory / "spool").iterdir()]

    async def add(self, count: int) -> None:
        metadata = await open_metadata(self.database.url, 1, 5.0)
        await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(count)]))
        await metadata.aclose()

    async def kept(self) -> list[str]:
        metadata = await open_metadata(self.database.url, 1, 5.0)
        rows = await metadata.audit.page(AuditPageQuery(AuditFilter(), 1000))
        await metadata.aclose()
        return [row.record_id for row in reversed(rows)]

    async def verdict(self) -> AuditVerdict:
        metadata = await open_metadata(self.database.url, 1, 5.0)
        verdict = await verify_database(metadata, [], [])
        await metadata.aclose()
        return verdict


@pytest.fixture
def node(tmp_path: Path, server: AuditServer) -> _Node:
    """An empty node."""
    return _Node(tmp_path, server)


@pytest.mark.parametrize("nth", [1, 3, 5])
def test_i11_each_acknowledged_note_of_a_killed_process_has_one_record_f45(node: _Node, nth: int) -> None:
    assert node.run("note", f"audit.noted:{nth}") == signal.SIGKILL
    assert node.run("drain") == 0
    assert node.run("drain") == 0

    kept = asyncio.run(node.kept())
    # Killed between the note and the answer: what was not answered may have a record, what was answered has one.
    assert kept[: nth - 1] == (node.acknowledged() if nth > 1 else [])
    assert len(kept) == len(set(kept)) == nth
    assert node.leftovers() == []


@pytest.mark.parametrize(
    "failpoint", ["audit.drained", "audit.segment.removed", "unit.before.commit", "unit.after.commit:1"]
)
def test_i11_a_drain_that_is_killed_goes_on_and_keeps_each_record_once(node: _Node, failpoint: str) -> None:
    assert node.run("note") == 0
    assert node.run("drain", failpoint) == signal.SIGKILL
    assert node.run("drain") == 0

    assert asyncio.run(node.kept()) == node.acknowledged()
    assert node.leftovers() == []


@pytest.mark.parametrize("failpoint", ["audit.sealed:2", "unit.before.commit:2", "unit.after.commit:3"])
def test_a_sealer_that_is_killed_leaves_a_chain_that_goes_on(node: _Node, failpoint: str) -> None:
    asyncio.run(node.add(900))
    assert node.run("seal", failpoint) == signal.SIGKILL
    assert asyncio.run(node.verdict()).is_sound
    assert node.run("seal") == 0

    verdict = asyncio.run(node.verdict())
    assert (verdict.records, verdict.unsealed, verdict.faults) == (900, 0, ())


@pytest.mark.parametrize("failpoint", ["audit.purged:1", "unit.before.commit:2", "unit.after.commit:2"])
def test_a_purge_that_is_killed_leaves_a_chain_that_is_whole(node: _Node, failpoint: str) -> None:
    asyncio.run(node.add(1300))
    asyncio.run(node.database.fetch(f"UPDATE audit_records SET at = at - {_OLD} WHERE id <= 1200"))
    assert node.run("seal") == 0
    assert node.run("purge", failpoint) == signal.SIGKILL

    between = asyncio.run(node.verdict())
    assert (between.last, between.faults) == (1300, ())
    assert 0 < between.records < 1300
    assert node.run("purge") == 0
    assert node.run("seal") == 0
    after = asyncio.run(node.verdict())
    assert (after.first, after.faults) == (1201, ())


def test_a_checkpoint_whose_signer_was_killed_before_its_file_has_one_after_the_next_run(node: _Node) -> None:
    """Also though nothing is left to sign."""
    directory = node.directory / "checkpoints"
    asyncio.run(node.add(3))
    assert node.run("seal") == 0
    assert node.run("sign", "audit.checkpoint.added") == signal.SIGKILL
    assert not directory.exists()

    assert node.run("sign") == 0

    (file,) = directory.iterdir()
    checkpoint = decode_checkpoint(file.read_bytes())
    assert (file.name, checkpoint and checkpoint.sequence) == (f"{3:020d}.json", 3)
    assert asyncio.run(node.verdict()).signed == 3
