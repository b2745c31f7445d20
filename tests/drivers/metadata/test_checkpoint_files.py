"""Each checkpoint comes to have its file, whatever happened between its row and that."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog.testing
from prometheus_client import CollectorRegistry

from entrepot.audit import checkpoint_files, checkpoints
from entrepot.audit.checkpoint_format import decode_checkpoint
from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.export import AuditExport
from entrepot.audit.export_verification import verify_export
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME
from entrepot.observability.metrics import build_metrics
from entrepot.workers.audit_upkeep import audit_checkpoint_duty
from tests.running.audit_material import KeyInMemory, pull_record

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def _add(metadata: Metadata, count: int) -> None:
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(count)]))
    await Sealer(metadata).run()


def _sequences(directory: Path) -> list[int]:
    read = [decode_checkpoint(path.read_bytes()) for path in _files(directory)]
    return [checkpoint.sequence for checkpoint in read if checkpoint is not None]


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.json"))


def _obstruct(directory: Path) -> None:
    """Put a file in the place of the directory, which fails every user alike."""
    directory.write_bytes(b"")


async def test_files_that_could_not_be_written_are_written_later(metadata: Metadata, tmp_path: Path) -> None:
    """By the same process or the next, also when nothing is to be signed, and the log tells of each once, whole."""
    directory, key = tmp_path / "kept", KeyInMemory()
    _obstruct(directory)
    checkpoints = Checkpoints(metadata, key, directory)
    with structlog.testing.capture_logs() as lines:
        for count in (2, 3):
            await _add(metadata, count)
            with pytest.raises(OSError, match="kept"):
                await checkpoints.run(0)
        directory.unlink()
        assert not await checkpoints.run(0)
        assert _sequences(directory) == [2, 5]
        (directory / f"{2:020d}.json").unlink()
        assert not await checkpoints.run(0)
        assert _sequences(directory) == [5]
        assert not await Checkpoints(metadata, key, directory).run(3600)

    assert _sequences(directory) == [2, 5]
    told = [(line["event"].removeprefix("audit.checkpoint."), line["sequence"]) for line in lines]
    assert told == [("signed", 2), ("signed", 5), ("filed", 2), ("filed", 5), ("filed", 2)]
    assert all(decode_checkpoint(line["checkpoint"].encode()) for line in lines)


async def _signed(metadata: Metadata, key: KeyInMemory, directory: Path, count: int) -> None:
    for _ in range(count):
        await _add(metadata, 1)
        assert await Checkpoints(metadata, key, directory).run(0)


async def test_many_files_are_written_in_batches_and_others_have_their_turns_between(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a new node of an old registry: no process waits for the directory longer than a batch takes."""
    key, directory = KeyInMemory(), tmp_path / "new-node"
    await _signed(metadata, key, tmp_path / "old-node", 5)
    monkeypatch.setattr(checkpoints, "_BATCH", 2)
    holds: list[int] = []
    hold, write = fcntl.flock, checkpoint_files._write

    def held(descriptor: int, operation: int) -> None:
        hold(descriptor, operation)
        holds.append(0)

    def written(where: Path, name: str, content: bytes) -> None:
        write(where, name, content)
        holds[-1] += 1

    monkeypatch.setattr(fcntl, "flock", held)
    monkeypatch.setattr(checkpoint_files, "_write", written)

    assert not await Checkpoints(metadata, key, directory).run(3600)

    assert holds == [2, 2, 1]
    assert _sequences(directory) == [1, 2, 3, 4, 5]


async def test_files_of_the_past_do_not_hold_up_the_next_signature(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run files what it signed first, then the oldest for a while; later runs come to the rest."""
    key, directory = KeyInMemory(), tmp_path / "new-node"
    await _signed(metadata, key, tmp_path / "old-node", 5)
    monkeypatch.setattr(checkpoints, "_BATCH", 2)
    monkeypatch.setattr(checkpoints, "_FILING_SECONDS", 0.0)
    await _add(metadata, 1)
    filing = Checkpoints(metadata, key, directory)

    assert await filing.run(0)
    assert _sequences(directory) == [1, 2, 6]
    await _add(metadata, 1)
    assert await filing.run(0)
    assert _sequences(directory) == [1, 2, 3, 4, 6, 7]
    assert not await filing.run(0)
    assert not await filing.run(0)

    assert _sequences(directory) == [1, 2, 3, 4, 5, 6, 7]


async def test_a_checkpoint_of_another_way_of_the_log_takes_no_file_away(
    metadata: Metadata, tmp_path: Path
) -> None:
    """An older copy of the database was put back, and went another way: what was kept says so."""
    await _add(metadata, 2)
    kept = tmp_path / f"{2:020d}.json"
    kept.write_bytes(b"what was kept")

    assert await Checkpoints(metadata, KeyInMemory(), tmp_path).run(0)

    assert kept.read_bytes() == b"what was kept"
    (other,) = (path for path in _files(tmp_path) if path != kept)
    checkpoint = decode_checkpoint(other.read_bytes())
    assert checkpoint is not None
    assert other.name == f"{2:020d}-{checkpoint.chain_hash[:16]}.json"


async def test_an_export_whose_checkpoint_has_no_file_is_signed_and_the_log_and_a_metric_tell(
    metadata: Metadata, tmp_path: Path
) -> None:
    """Nothing in the export says so: it proves itself. The next run of the worker counts as well."""
    registry, key = CollectorRegistry(), KeyInMemory()
    metrics = build_metrics(registry)
    directory = tmp_path / "kept"
    _obstruct(directory)
    await _add(metadata, 2)
    checkpoints = Checkpoints(metadata, key, directory)
    end = SignedEnd(Sealer(metadata), checkpoints, key, metrics.audit_checkpoint_failures.inc)
    export = AuditExport(metadata, end)

    with structlog.testing.capture_logs() as lines:
        begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
        exported = [line + b"\n" async for line in export.lines(begun)]
        verdict = verify_export(exported, [], [key.public_key])
    with pytest.raises(OSError, match="kept"):
        await audit_checkpoint_duty(checkpoints, metadata, metrics, lambda: 300).run()

    assert (verdict.faults, verdict.signed) == ((), 2)
    (warning,) = [line for line in lines if line["log_level"] == "warning"]
    assert (warning["event"], "kept" in warning["reason"]) == ("audit.end.failed", True)
    assert registry.get_sample_value("registry_audit_checkpoint_failures_total") == 2


async def test_a_file_that_this_user_cannot_read_keeps_no_later_one_from_being_written(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that a command of root left; files are readable to the group whatever the umask is."""
    directory, key = tmp_path / "kept", KeyInMemory()
    await _add(metadata, 2)
    await Checkpoints(metadata, key, directory).run(0)
    (first,) = _files(directory)
    read_bytes = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path == first:
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    await _add(metadata, 3)
    with monkeypatch.context() as patched, structlog.testing.capture_logs() as lines:
        patched.setattr(Path, "read_bytes", refuse)
        await Checkpoints(metadata, key, directory).run(0)

    assert _sequences(directory) == [2, 5]
    assert {path.stat().st_mode & 0o777 for path in _files(directory)} == {0o640}
    assert [line["path"] for line in lines if line["event"] == "audit.checkpoint.unreadable"] == [str(first)]


@pytest.mark.parametrize(
    ("engine", "link"),
    [("sqlite", "/x"), ("postgresql", "/x"), ("postgresql", "../../x"), ("sqlite", "\0x")],
)
async def test_a_strangers_checkpoint_whose_hash_is_no_name_keeps_none_from_its_file_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, engine: str, link: str
) -> None:
    """In the place of one that has a file. It is filed beside that, and exports are signed as before."""
    key, directory = KeyInMemory(), tmp_path / "kept"
    await _signed(metadata, key, directory, 1)
    (real,) = await metadata.audit.checkpoints(1, 2)
    signed = msgspec.json.encode(msgspec.json.decode(real.signed) | {"hash": link})
    made = await KeyInMemory().sign(signed)
    await database.fetch("DELETE FROM audit_checkpoints")
    other = replace(
        real, chain_hash=link, signed=signed, public_key=made.public_key, signature=made.signature
    )
    await metadata.write(lambda tx: tx.audit_chain.add_checkpoint(other))
    await _signed(metadata, key, tmp_path / "other-node", 2)
    await _add(metadata, 1)

    end = SignedEnd(Sealer(metadata), Checkpoints(metadata, key, directory), key)

    assert await end.sign() == ""
    assert _sequences(directory) == [1, 1, 2, 3, 4]
    assert _files(tmp_path) == []
