"""While the disk takes nothing, a bounded number of records waits in memory, in order (F5, F9, F45, I10, I11, I12)."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pytest
import structlog.testing

from entrepot.audit.frames import read_frames
from entrepot.audit.segments import segment_paths
from entrepot.audit.spool import AuditSpool, SpoolBuffer
from entrepot.audit.spool_writer import SpoolLimits
from entrepot.auth.errors import AuditUnavailableError
from tests.running.audit_material import pull_record
from tests.running.failing_spool import FailingFiles

if TYPE_CHECKING:
    from pathlib import Path

_NEVER = SpoolLimits(retry_seconds=600)
_OFTEN = SpoolLimits(retry_seconds=0.01)
_BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))


@dataclass
class _Sink:
    """A spool whose disk can fail, and what it told of itself."""

    directory: Path
    flush: Literal["none", "group"] = "none"
    records: int = 3
    limits: SpoolLimits = _NEVER
    files: FailingFiles = field(default_factory=FailingFiles)
    refused: int = 0
    kept: int = 0
    waiting: int = 0

    def __post_init__(self) -> None:
        buffer = SpoolBuffer(self.records, self._count_kept, self._set_waiting)
        self.spool = AuditSpool(
            self.directory,
            self.flush,
            self._count_refused,
            buffer=buffer,
            limits=self.limits,
            files=self.files,
        )

    def _count_refused(self) -> None:
        self.refused += 1

    def _count_kept(self) -> None:
        self.kept += 1

    def _set_waiting(self, waiting: int) -> None:
        self.waiting = waiting

    async def note(self, *numbers: int) -> None:
        for number in numbers:
            await self.spool.note(pull_record(number, record_id=f"{number:032d}"))

    def noted(self) -> list[int]:
        """Return the numbers of the records in the files, as they lie there; none if there is no directory."""
        if not self.directory.is_dir():
            return []
        return [
            int(record.record_id)
            for path in segment_paths(self.directory)
            for record in read_frames(path.read_bytes()).records
        ]

    async def until_none_waits(self) -> None:
        async with asyncio.timeout(60):
            while self.spool.waiting:  # noqa: ASYNC110  # the spool has no event for that
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("room", [0, 100])
@pytest.mark.parametrize("flush", ["none", "group"])
async def test_records_wait_while_the_disk_is_full_and_are_written_in_order_f5_i10_i11(
    tmp_path: Path, room: int, flush: Literal["none", "group"]
) -> None:
    sink = _Sink(tmp_path / "spool", flush)
    await sink.note(1)
    sink.files.room = room

    await sink.note(2, 3, 4)
    assert (sink.noted(), sink.waiting, sink.kept) == ([1], 3, 3)
    with pytest.raises(AuditUnavailableError):
        await sink.note(5)
    sink.files.room = None
    await sink.note(6, 7)
    await sink.spool.aclose()

    assert sink.noted() == [1, 2, 3, 4, 6, 7]
    assert (sink.waiting, sink.refused) == (0, 1)


async def test_a_full_buffer_takes_a_record_again_as_soon_as_the_disk_does_i12(tmp_path: Path) -> None:
    sink = _Sink(tmp_path, records=1)
    sink.files.room = 0
    await sink.note(1)
    with pytest.raises(AuditUnavailableError, match="No space left"):
        await sink.note(2)
    sink.files.room = None

    await sink.note(3)

    assert sink.noted() == [1, 3]
    await sink.spool.aclose()


async def test_without_a_buffer_the_first_record_is_refused(tmp_path: Path) -> None:
    sink = _Sink(tmp_path, records=0)
    sink.files.room = 0

    with pytest.raises(AuditUnavailableError):
        await sink.note(1)
    assert (sink.kept, sink.refused, sink.spool.waiting) == (0, 1, 0)
    await sink.spool.aclose()


@pytest.mark.parametrize("flush", ["none", "group"])
async def test_what_waits_is_written_although_no_further_note_comes_f5(
    tmp_path: Path, flush: Literal["none", "group"]
) -> None:
    sink = _Sink(tmp_path, flush, records=1000, limits=_OFTEN)
    sink.files.room = 0
    await sink.note(*range(1000))
    sink.files.room = None

    await sink.until_none_waits()

    assert sink.noted() == list(range(1000))
    assert sink.waiting == 0
    await sink.spool.aclose()


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    sink = _Sink(tmp_path, limits=_OFTEN)
    sink.files.append_error = errno.EROFS
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            sink.files.room = 0
            await sink.note(1, 2)
            sink.files.room = None
            await sink.until_none_waits()
        await sink.spool.aclose()

    assert [line["event"] for line in lines] == ["audit.spool.buffering", "audit.spool.recovered"] * 2
    assert (lines[0]["reason"], lines[0]["log_level"]) == ("Read-only file system", "error")
    assert lines[1]["records"] == 2


async def test_a_start_where_the_directory_cannot_be_made_and_a_later_recovery_f9(tmp_path: Path) -> None:
    (tmp_path / "volume").write_text("not a directory")
    sink = _Sink(tmp_path / "volume" / "audit" / "spool")

    await sink.note(1, 2)
    (tmp_path / "volume").unlink()
    await sink.note(3)
    await sink.spool.aclose()

    assert sink.noted() == [1, 2, 3]


async def test_a_stop_tries_a_last_time_and_says_what_is_lost(tmp_path: Path) -> None:
    saved, lost = _Sink(tmp_path / "saved"), _Sink(tmp_path / "lost")
    for sink in (saved, lost):
        sink.files.room = 0
        await sink.note(1, 2, 3)
    saved.files.room = None
    with structlog.testing.capture_logs() as lines:
        for sink in (saved, lost):
            await sink.spool.aclose()
            await sink.spool.aclose()

    assert (saved.noted(), lost.noted()) == ([1, 2, 3], [])
    assert [(line["event"], line["records"]) for line in lines] == [
        ("audit.spool.recovered", 3),
        ("audit.spool.lost", 3),
    ]
    assert lines[1]["log_level"] == "error"


async def test_a_failed_flush_lets_its_records_wait_before_later_ones_f45(tmp_path: Path) -> None:
    sink = _Sink(tmp_path, "group", records=4, limits=_OFTEN)
    sink.files.flush_error = _BROKEN

    await asyncio.gather(sink.note(1), sink.note(2))
    await sink.note(3)
    assert (sink.kept, sink.waiting) == (3, 3)
    sink.files.flush_error = None
    await sink.until_none_waits()
    await sink.note(4)
    await sink.spool.aclose()

    first_tries, *_ = segment_paths(tmp_path)
    assert [int(record.record_id) for record in read_frames(first_tries.read_bytes()).records] == [1, 2]
    assert list(dict.fromkeys(sink.noted())) == [1, 2, 3, 4]
    assert sink.noted()[-4:] == [1, 2, 3, 4]


async def test_of_a_failed_flush_only_as_many_wait_as_there_is_room_for_i12(tmp_path: Path) -> None:
    sink = _Sink(tmp_path, "group", records=2)
    sink.files.flush_error = _BROKEN

    outcomes = await asyncio.gather(*(sink.note(number) for number in range(5)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [type(None)] * 2 + [AuditUnavailableError] * 3
    assert (sink.waiting, sink.refused) == (2, 3)
    await sink.spool.aclose()


async def test_a_disk_whose_flush_keeps_failing_is_not_filled_with_repetitions(tmp_path: Path) -> None:
    sink = _Sink(tmp_path, "group", records=100, limits=SpoolLimits(retry_seconds=0.02))
    sink.files.flush_error = _BROKEN

    await asyncio.gather(*(sink.note(number) for number in range(50)))
    started = time.monotonic()
    await asyncio.sleep(0.2)

    assert sink.spool.waiting == 50
    assert sink.files.appends <= 50 + 1 + (time.monotonic() - started) / 0.02
    sink.files.flush_error = None
    await sink.spool.aclose()
    assert sink.noted()[-50:] == list(range(50))
