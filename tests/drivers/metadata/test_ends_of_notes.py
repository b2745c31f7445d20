"""Files of notes that are not as a writer leaves them: what is in them is taken over, or kept for people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.audit import drain as drain_module
from entrepot.audit.drain import AuditDrain
from entrepot.audit.segments import segment_paths
from entrepot.audit.spool import AuditSpool
from entrepot.audit.spool_writer import SpoolLimits
from entrepot.auth.errors import AuditUnavailableError
from entrepot.metadata.audit_store import AuditFilter
from tests.running.audit_material import pull_record

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata

_MARK: Final = b"\xfeEA1"


async def _noted(directory: Path, count: int) -> Path:
    """Note so many records, and return the file that has them."""
    spool = AuditSpool(directory, "none", lambda: None)
    for number in range(count):
        await spool.note(pull_record(number))
    await spool.aclose()
    (segment,) = segment_paths(directory)
    return segment


def _write(descriptor: int, piece: bytes) -> None:
    """Write, and see to it that the file has another time than before, which the kernel counts in milliseconds."""
    before = os.fstat(descriptor).st_ctime_ns
    os.write(descriptor, piece)
    while os.fstat(descriptor).st_ctime_ns == before:
        os.utime(descriptor)


@pytest.mark.parametrize("damage", ["a flipped byte", "garbage", "zeros", "more than one record"])
async def test_a_damaged_end_is_not_taken_for_a_torn_one_i11_f11(
    metadata: Metadata, tmp_path: Path, damage: str
) -> None:
    """Who dies over a record leaves the beginning of one. These were whole, and their pulls answered: it is said."""
    segment = await _noted(tmp_path / "spool", 5)
    content = segment.read_bytes()
    last = content.rindex(_MARK)
    end = {
        "a flipped byte": content[last:-1] + bytes([content[-1] ^ 1]),
        "garbage": b"?" * 100,
        "zeros": bytes(100),
        "more than one record": content[last:].replace(_MARK, b"    ") * 2,
    }[damage]
    segment.write_bytes(content[:last] + end)

    report = await AuditDrain(tmp_path / "spool", metadata, "node").run()

    assert (report.records, report.damaged_bytes) == (4, len(end))
    assert list((tmp_path / "spool").iterdir()) == [segment.with_suffix(".damaged")]
    assert await metadata.audit.spool_cursors("node") == {}


@pytest.mark.parametrize("kept", [1, 4, 11, 12, 13, -1])
async def test_the_beginning_of_a_record_is_a_torn_end_whatever_is_there_of_it_f45(
    metadata: Metadata, tmp_path: Path, kept: int
) -> None:
    segment = await _noted(tmp_path / "spool", 5)
    content = segment.read_bytes()
    last = content.rindex(_MARK)
    segment.write_bytes(content[:last] + content[last:][:kept])

    report = await AuditDrain(tmp_path / "spool", metadata, "node").run()

    assert (report.records, report.damaged_bytes) == (4, 0)
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("anew", [False, True])
async def test_a_copy_is_not_removed_while_it_is_written_whatever_its_length_i11(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    """One that broke off is begun anew within the file; another has its whole length before its contents."""
    source = await _noted(tmp_path / "dead", 100)
    content, target = source.read_bytes(), tmp_path / "alive"
    target.mkdir()
    passed = [0.0]
    monkeypatch.setattr(drain_module, "monotonic", lambda: passed[0])
    drain = AuditDrain(target, metadata, "node", rest_seconds=60.0)
    copy = target / source.name
    copy.write_bytes(content[: content.rindex(_MARK)] if anew else bytes(len(content)))
    await drain.run()

    with copy.open("wb" if anew else "r+b", 0) as file:
        for place in range(4):
            _write(file.fileno(), content[place * len(content) // 4 : (place + 1) * len(content) // 4])
            passed[0] += 40.0
            await drain.run()
            assert copy.exists()

    assert await metadata.audit.count(AuditFilter()) == 100
    passed[0] += 61.0
    await drain.run()
    assert list(target.iterdir()) == []


async def test_a_file_that_can_not_be_read_keeps_nobody_from_the_others_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    """One that root copied here, say. It is the oldest by its name, and all that is noted since lies behind it."""
    await _noted(tmp_path / "spool", 3)
    unreadable = tmp_path / "spool" / f"{0:020d}-copied.spool"
    unreadable.mkdir()
    drain = AuditDrain(tmp_path / "spool", metadata, "node")

    for _ in range(2):
        with pytest.raises(IsADirectoryError):
            await drain.run()

    assert await metadata.audit.count(AuditFilter()) == 3
    assert list((tmp_path / "spool").iterdir()) == [unreadable]


def _read_little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a stretch of 16 KiB count as one that is longer than any record."""
    monkeypatch.setattr(drain_module, "_BATCH_BYTES", 2048)
    monkeypatch.setattr(drain_module, "_WHOLE_RECORD_BYTES", 16 * 1024)


async def test_a_record_behind_a_long_damaged_stretch_is_taken_over_wherever_it_begins_i11(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read of it at once may end with the beginning of a record, which is not passed over with the rest."""
    _read_little_at_once(monkeypatch)
    segment = await _noted(tmp_path / "spool", 5)
    content = segment.read_bytes()
    segment.write_bytes(b"?" * (16 * 1024 - 100) + content)

    report = await AuditDrain(tmp_path / "spool", metadata, "node").run()

    assert (report.records, report.damaged_bytes) == (5, 16 * 1024 - 100)


async def test_what_a_former_process_left_does_not_keep_pulls_from_being_noted_once_it_is_taken_over_i11(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has rested long enough by the machine's clock: nobody is copying it while this process begins."""
    segment = await _noted(tmp_path / "spool", 5)
    limits = SpoolLimits(waiting_bytes=segment.stat().st_size)
    wrote_at = segment.stat().st_ctime_ns // 1_000_000
    monkeypatch.setattr(drain_module, "machine_milliseconds", lambda: wrote_at + 61_000)
    spool = AuditSpool(tmp_path / "spool", "none", lambda: None, limits=limits)
    with pytest.raises(AuditUnavailableError, match="too much waits"):
        await spool.note(pull_record(5))

    assert (await AuditDrain(tmp_path / "spool", metadata, "node", rest_seconds=60.0).run()).records == 5

    again = AuditSpool(tmp_path / "spool", "none", lambda: None, limits=limits)
    await again.note(pull_record(5))
    await again.aclose()


async def test_a_clock_that_is_set_forward_ends_no_rest_of_what_comes_later_i11_f27(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what lies there at the beginning may have rested before."""
    drain = AuditDrain(tmp_path / "spool", metadata, "node", rest_seconds=60.0)
    (tmp_path / "spool").mkdir()
    await drain.run()
    segment = await _noted(tmp_path / "spool", 5)
    wrote_at = segment.stat().st_ctime_ns // 1_000_000
    monkeypatch.setattr(drain_module, "machine_milliseconds", lambda: wrote_at + 3_600_000)

    assert (await drain.run()).records == 5

    assert list((tmp_path / "spool").iterdir()) == [segment]


async def test_a_long_gap_in_a_copy_is_no_damage_before_it_is_whole_i11(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given its whole length first. What comes into the gap later would be passed over."""
    _read_little_at_once(monkeypatch)
    source = await _noted(tmp_path / "dead", 100)
    content, target = source.read_bytes(), tmp_path / "alive"
    target.mkdir()
    drain = AuditDrain(target, metadata, "node", rest_seconds=60.0)
    copy = target / source.name
    copy.write_bytes(bytes(len(content)))
    await drain.run()

    copy.write_bytes(content)

    report = await drain.run()
    assert (report.records, report.damaged_bytes) == (100, 0)
