"""The spool: a note is in a file when the call returns, or the call says that it is not (F45, I11)."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest

from entrepot.audit.frames import read_frames
from entrepot.audit.segments import ended_segment, segment_paths
from entrepot.audit.spool import AuditSpool
from entrepot.audit.spool_writer import SpoolLimits
from entrepot.auth.errors import AuditUnavailableError
from tests.running.audit_material import pull_record
from tests.running.failing_spool import FailingFiles

if TYPE_CHECKING:
    from pathlib import Path


class _Failures:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def _noted(directory: Path) -> list[str]:
    return [
        record.record_id
        for path in segment_paths(directory)
        for record in read_frames(path.read_bytes()).records
    ]


async def test_a_note_is_in_the_file_when_the_call_returns_i11(tmp_path: Path) -> None:
    spool = AuditSpool(tmp_path / "audit" / "spool", "none", _Failures())
    first, second = pull_record(1), pull_record(2)

    await spool.note(first)
    assert _noted(tmp_path / "audit" / "spool") == [first.record_id]
    await spool.note(second)

    assert _noted(tmp_path / "audit" / "spool") == [first.record_id, second.record_id]
    (path,) = segment_paths(tmp_path / "audit" / "spool")
    (record, _) = read_frames(path.read_bytes()).records
    assert record.at_milliseconds is not None
    assert path.stat().st_mode & 0o777 == 0o600
    await spool.aclose()


@pytest.mark.parametrize("room", [0, 1, 300])
async def test_a_full_disk_refuses_and_leaves_nothing_of_the_record_f45(tmp_path: Path, room: int) -> None:
    files, failures = FailingFiles(), _Failures()
    spool = AuditSpool(tmp_path, "none", failures, files=files)
    first, last = pull_record(1), pull_record(3)
    await spool.note(first)

    files.room = room
    with pytest.raises(AuditUnavailableError):
        await spool.note(pull_record(2))
    files.room = None
    await spool.note(last)

    assert failures.count == 1
    (path,) = segment_paths(tmp_path)
    batch = read_frames(path.read_bytes())
    assert [record.record_id for record in batch.records] == [first.record_id, last.record_id]
    assert (batch.damaged, batch.pending) == (0, 0)
    await spool.aclose()


async def test_a_directory_that_cannot_be_made_refuses_f45(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    failures = _Failures()

    with pytest.raises(AuditUnavailableError):
        await AuditSpool(tmp_path / "file" / "spool", "none", failures).note(pull_record())
    assert failures.count == 1


async def test_what_waits_for_the_database_is_bounded_i12(tmp_path: Path) -> None:
    limits = SpoolLimits(segment_bytes=3000, waiting_bytes=6000)
    spool = AuditSpool(tmp_path, "none", _Failures(), limits=limits)
    outcomes = [
        (await asyncio.gather(spool.note(pull_record()), return_exceptions=True))[0] for _ in range(20)
    ]
    kept = outcomes.count(None)

    assert {type(outcome) for outcome in outcomes} == {type(None), AuditUnavailableError}
    assert 6000 <= sum(path.stat().st_size for path in segment_paths(tmp_path)) < 6000 + 3000
    assert len(_noted(tmp_path)) == kept
    await spool.aclose()


async def test_notes_of_one_turn_are_one_write_and_nobody_is_answered_before_it_i11(tmp_path: Path) -> None:
    answered: list[int] = []

    class Files(FailingFiles):
        def append(self, descriptor: int, frames: bytes) -> int:
            answered.append(sum(note.done() for note in notes))
            return super().append(descriptor, frames)

    files = Files()
    spool = AuditSpool(tmp_path, "none", _Failures(), files=files)
    records = [pull_record(number) for number in range(600)]
    notes: list[asyncio.Task[None]] = []
    notes += [asyncio.create_task(spool.note(record)) for record in records]
    await asyncio.gather(*notes)

    assert files.appends == 2  # of 512 and of 88 records
    assert answered[0] == 0
    assert answered[1] <= 512
    assert _noted(tmp_path) == [record.record_id for record in records]
    await spool.aclose()


@pytest.mark.parametrize(("turns", "writes"), [(1, [2]), (6, [7]), (33, [32, 1, 1])])
async def test_notes_that_come_one_after_the_other_are_one_write_up_to_a_bound_i11_i12(
    tmp_path: Path, turns: int, writes: list[int]
) -> None:
    """Two in the first turn of the event loop, and one in each that follows; one alone waits for no other."""
    sizes: list[int] = []

    class Files(FailingFiles):
        def append(self, descriptor: int, frames: bytes) -> int:
            sizes.append(len(read_frames(frames).records))
            return super().append(descriptor, frames)

    spool = AuditSpool(tmp_path, "none", _Failures(), files=Files())
    notes = [asyncio.create_task(spool.note(pull_record(0)))]
    for number in range(turns):
        notes.append(asyncio.create_task(spool.note(pull_record(number + 1))))
        await asyncio.sleep(0)
    await asyncio.gather(*notes)

    assert sizes == writes
    await spool.aclose()


async def test_a_note_that_comes_alone_waits_for_no_other(tmp_path: Path) -> None:
    spool = AuditSpool(tmp_path, "none", _Failures())
    note = asyncio.create_task(spool.note(pull_record()))
    await asyncio.sleep(0)  # it begins
    await asyncio.sleep(0)  # it is written
    assert len(_noted(tmp_path)) == 1
    await note
    await spool.aclose()


@pytest.mark.parametrize("room", [0, 1, 2000])
async def test_where_a_common_write_fails_each_note_is_tried_alone_f45(tmp_path: Path, room: int) -> None:
    files, failures = FailingFiles(), _Failures()
    spool = AuditSpool(tmp_path, "none", failures, files=files)
    files.room = room
    records = [pull_record(number) for number in range(5)]
    outcomes = await asyncio.gather(*(spool.note(record) for record in records), return_exceptions=True)

    fits = room == 2000  # the room of each write
    assert [type(outcome) for outcome in outcomes] == [type(None) if fits else AuditUnavailableError] * 5
    assert failures.count == (0 if fits else 5)
    (path,) = segment_paths(tmp_path)
    batch = read_frames(path.read_bytes())
    assert [record.record_id for record in batch.records] == [record.record_id for record in records if fits]
    assert (batch.damaged, batch.pending) == (0, 0)
    await spool.aclose()


async def test_a_caller_that_goes_away_leaves_the_others_of_its_turn_alone(tmp_path: Path) -> None:
    spool = AuditSpool(tmp_path, "none", _Failures())
    first, second = (asyncio.create_task(spool.note(pull_record(number))) for number in range(2))
    await asyncio.sleep(0)
    first.cancel()

    await asyncio.wait_for(second, 60)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(_noted(tmp_path)) == 2
    await spool.aclose()


async def test_a_stop_writes_what_came_in_its_turn_i11(tmp_path: Path) -> None:
    spool = AuditSpool(tmp_path, "none", _Failures())
    note = asyncio.create_task(spool.note(pull_record()))
    await asyncio.sleep(0)
    await spool.aclose()

    await note
    assert len(_noted(tmp_path)) == 1


async def test_a_segment_that_is_written_to_is_told_from_one_that_ended(tmp_path: Path) -> None:
    spool = AuditSpool(tmp_path, "none", _Failures(), limits=SpoolLimits(segment_bytes=2000))
    for number in range(2):
        await spool.note(pull_record(number))

    states: list[bool] = []
    for path in segment_paths(tmp_path):
        with ended_segment(path) as ended:
            states.append(ended)
    assert states == [True, False]
    await spool.aclose()
    with ended_segment(segment_paths(tmp_path)[-1]) as ended:
        assert ended


async def test_an_old_segment_ends_when_the_next_note_comes(tmp_path: Path) -> None:
    spool = AuditSpool(tmp_path, "none", _Failures(), limits=SpoolLimits(segment_seconds=0))
    await spool.note(pull_record(1))
    await spool.note(pull_record(2))

    assert len(segment_paths(tmp_path)) == 2
    await spool.aclose()


async def test_many_notes_share_a_flush(tmp_path: Path) -> None:
    files = FailingFiles()
    spool = AuditSpool(tmp_path, "group", _Failures(), files=files)

    await asyncio.gather(*(spool.note(pull_record(number)) for number in range(50)))

    assert len(_noted(tmp_path)) == 50
    assert 1 <= files.flushes <= 3
    await spool.aclose()


async def test_notes_of_a_segment_that_ends_meanwhile_are_flushed_too(tmp_path: Path) -> None:
    files = FailingFiles()
    spool = AuditSpool(tmp_path, "group", _Failures(), files=files, limits=SpoolLimits(segment_bytes=3000))

    await asyncio.gather(*(spool.note(pull_record(number)) for number in range(10)))
    await spool.aclose()

    assert files.flushes >= len(segment_paths(tmp_path)) >= 4
    for path in segment_paths(tmp_path):
        with ended_segment(path) as ended:
            assert ended


async def test_a_failed_flush_refuses_all_who_wait_and_the_file_is_left_f45(tmp_path: Path) -> None:
    files, failures = FailingFiles(), _Failures()
    spool = AuditSpool(tmp_path, "group", failures, files=files)
    files.flush_error = OSError(errno.EIO, os.strerror(errno.EIO))

    outcomes = await asyncio.gather(*(spool.note(pull_record()) for _ in range(3)), return_exceptions=True)
    files.flush_error = None
    await spool.note(pull_record())

    assert [type(outcome) for outcome in outcomes] == [AuditUnavailableError] * 3
    assert failures.count == 3
    assert len(segment_paths(tmp_path)) == 2
    await spool.aclose()


async def test_records_that_come_during_a_flush_that_fails_are_refused_too_i11(tmp_path: Path) -> None:
    """Their file is let go of with the others, so no later flush would concern them."""

    class _SlowFiles(FailingFiles):
        def flush(self, descriptor: int) -> None:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(60)
            super().flush(descriptor)

    loop, begun, go_on, files = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), _SlowFiles()
    spool = AuditSpool(tmp_path, "group", _Failures(), files=files)
    files.flush_error = OSError(errno.EIO, os.strerror(errno.EIO))

    first = asyncio.ensure_future(spool.note(pull_record(1)))
    await begun.wait()
    second = asyncio.ensure_future(spool.note(pull_record(2)))
    await asyncio.sleep(0)
    go_on.set()
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [AuditUnavailableError] * 2
    assert files.flushes == 1
    await spool.aclose()
