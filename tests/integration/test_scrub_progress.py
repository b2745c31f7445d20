"""A verification goes on where it was broken off, alone on its kind, and knows what it found before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace as replace_place

from entrepot.lifecycle.errors import ScrubBusyError, ScrubLostError
from entrepot.lifecycle.scrub import journal_phase, walks
from entrepot.lifecycle.scrub import ledger as ledger_module
from entrepot.lifecycle.scrub.findings import Finding, Kind, Outcome
from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, ScrubJob, ScrubSchedule
from entrepot.lifecycle.scrub.ledger import Ledger, read_findings, read_progress
from entrepot.lifecycle.scrub.options import Mode, ScrubOptions
from entrepot.lifecycle.scrub.scrub import Scrub
from entrepot.registry.journal.writer import Journal
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.registry.sweeps.steady_clock import SteadyClock
from entrepot.workers.upkeep import journal_duty
from tests.faults.image import one_layer_image
from tests.integration.rebuilding import unsealed
from tests.integration.scrubbing import REPAIR, Quiet, Scrubbed, scrubbed_registry, verify_stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from entrepot.metadata.store import Transaction

_FINDING = Finding(kind=Kind.MISSING, about="blob", name="sha256:" + "0" * 64)


@pytest.fixture
async def scrubbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scrubbed]:
    """A registry with three images, whose blobs are examined one by one."""
    monkeypatch.setattr(walks, "_BATCH_BYTES", 1)
    async with scrubbed_registry(tmp_path) as scrubbed:
        for seed in (2, 3):
            await scrubbed.push(one_layer_image(seed, f"team/app{seed}"))
        yield scrubbed


class _Interrupting(Quiet):
    """Breaks a pass off after a number of findings or phases."""

    def __init__(self, *, after_findings: int) -> None:
        super().__init__()
        self._left = after_findings

    def found(self, finding: object) -> None:
        """Break off."""
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


async def test_a_resumed_pass_reads_nothing_twice_and_keeps_what_it_found(scrubbed: Scrubbed) -> None:
    """What the first part found is in the report of the second, and the counts are those of both."""
    scrubbed.damage("flipped", scrubbed.image.layer)
    scrubbed.damage("missing", one_layer_image(3).layer)
    with pytest.raises(KeyboardInterrupt):
        await verify_stores(scrubbed.ground, ScrubOptions(), watcher=_Interrupting(after_findings=1))
    broken_off = await read_progress(scrubbed.ground.metadata, "verify")
    assert (broken_off.running, broken_off.damaged) == (True, {"corrupt": 1})

    progress, findings = await verify_stores(scrubbed.ground, ScrubOptions(), resume=True)

    assert {finding.kind for finding in findings} == {Kind.CORRUPT, Kind.MISSING}
    assert progress.counts["blobs"] == 6
    assert progress.damaged == {"corrupt": 1, "missing": 1}
    assert not (await read_progress(scrubbed.ground.metadata, "verify")).running


async def test_a_pass_that_begins_anew_forgets_the_one_before(scrubbed: Scrubbed) -> None:
    """Its report holds what is wrong now."""
    scrubbed.damage("missing", scrubbed.image.layer)
    await scrubbed.verify()
    scrubbed.file_of(one_layer_image(2).layer)
    await scrubbed.push()

    assert await scrubbed.found() == {}


async def test_there_is_one_verification_of_a_kind_at_a_time(scrubbed: Scrubbed) -> None:
    """The second is told; it may begin when the first has ended or is dead for a minute."""
    metadata = scrubbed.ground.metadata
    first = await Ledger.take(metadata, "verify", patience_seconds=0)
    with pytest.raises(ScrubBusyError):
        await Ledger.take(metadata, "verify", patience_seconds=0)
    await scrubbed.database.fetch("UPDATE sweeps SET lease_until = 1 WHERE name = 'verify'")

    second = await Ledger.take(metadata, "verify", patience_seconds=0)

    with pytest.raises(ScrubLostError):
        await first.record(first.progress, ())
    await second.release(0)


async def test_f30_a_pass_that_lost_its_lease_stops(
    scrubbed: Scrubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else goes on; what the first one still does is not recorded."""
    monkeypatch.setattr(ledger_module, "_RENEWAL_SECONDS", 0.01)
    ledger = await Ledger.take(scrubbed.ground.metadata, "verify", patience_seconds=0)
    await ledger.begin(fast=False, repositories=())
    scrub = Scrub(scrubbed.ground, ScrubOptions(bytes_per_second=1000), Quiet())

    async def steal(tx: Transaction) -> None:
        await tx.orphans.release(replace(ledger._claim), 0)
        assert await tx.orphans.hold("verify", 60) is not None

    running = asyncio.create_task(scrub.run(ledger))
    await asyncio.sleep(0.05)
    await scrubbed.ground.metadata.write(steal)
    with pytest.raises(ScrubLostError):
        await running


async def test_a_pass_cancelled_as_its_record_commits_keeps_the_place_with_the_findings(
    scrubbed: Scrubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit that has begun is seen through before its cancellation is raised: the place was kept, and stays."""
    metadata = scrubbed.ground.metadata
    ledger = await Ledger.take(metadata, "verify", patience_seconds=0)
    await ledger.begin(fast=False, repositories=())
    write = metadata.write

    async def write_and_be_cancelled(unit: Callable[[Transaction], Awaitable[bool]]) -> bool:
        await write(unit)
        raise asyncio.CancelledError

    place = replace_place(ledger.progress, cursor="7", findings=1)
    with monkeypatch.context() as cancelled:
        cancelled.setattr(metadata, "write", write_and_be_cancelled)
        with pytest.raises(asyncio.CancelledError):
            await ledger.record(place, (_FINDING,))
    await ledger.release(0)

    kept = await read_progress(metadata, "verify")
    assert (kept.cursor, kept.findings, kept.running) == ("7", 1, True)
    assert [finding async for finding in read_findings(metadata, "verify")] == [_FINDING]


async def test_the_scheduled_pass_repairs_goes_on_after_a_restart_and_is_not_due_again(
    scrubbed: Scrubbed,
) -> None:
    """Cancelled in the middle it keeps its place; complete, it says when, and the next is due after the period."""
    scrubbed.damage("flipped", scrubbed.image.layer)
    metadata = scrubbed.ground.metadata
    slow = ScrubSchedule(3600, ScrubOptions(mode=Mode.REPAIR, bytes_per_second=200_000))
    job = ScrubJob(scrubbed.ground, slow, Quiet(), SteadyClock())
    await job.attend()
    assert job.is_running
    while not (await read_progress(metadata, SCRUB_SWEEP)).counts:  # noqa: ASYNC110  # another task commits them
        await asyncio.sleep(0.02)
    await job.aclose()
    place = await read_progress(metadata, SCRUB_SWEEP)
    assert place.running

    watcher = Quiet()
    fast = replace(slow, options=replace(slow.options, bytes_per_second=0))
    job = ScrubJob(scrubbed.ground, fast, watcher, SteadyClock())
    await job.attend()
    while job.is_running:
        await asyncio.sleep(0.02)
        await job.attend()

    done = await read_progress(metadata, SCRUB_SWEEP)
    (finding,) = [finding async for finding in read_findings(metadata, SCRUB_SWEEP)]
    assert (finding.kind, finding.outcome) == (Kind.CORRUPT, Outcome.QUARANTINED)
    assert (done.running, done.damaged, done.counts["blobs"]) == (False, {"corrupt": 1}, 6)
    assert done.completed_at_milliseconds > 0
    assert watcher.phases[-1] == "objects"
    assert await Ledger.take_if_due(metadata, SteadyClock(), SCRUB_SWEEP, 3600) is None
    await scrubbed.database.fetch("UPDATE sweeps SET due_at = 0 WHERE name = 'scrub'")
    again = await Ledger.take_if_due(metadata, SteadyClock(), SCRUB_SWEEP, 3600)
    assert again is not None
    await again.begin(fast=False, repositories=())
    assert again.progress.damaged_before == {"corrupt": 1}


async def test_the_scheduled_pass_reports_an_unmounted_volume_and_changes_nothing(
    scrubbed: Scrubbed, tmp_path: Path
) -> None:
    """The alarm rises, the rows stay."""
    (tmp_path / "data/storage/blobs").rename(tmp_path / "away")
    for area in ("manifests", "journal", "uploads"):
        (tmp_path / f"data/storage/{area}").rename(tmp_path / f"away-{area}")
    schedule = ScrubSchedule(3600, ScrubOptions(mode=Mode.REPAIR))
    job = ScrubJob(scrubbed.ground, schedule, Quiet(), SteadyClock())

    await job.attend()
    while job.is_running:
        await asyncio.sleep(0.02)
        await job.attend()

    assert (await read_progress(scrubbed.ground.metadata, SCRUB_SWEEP)).damaged["missing"] == 6
    assert await scrubbed.database.value("SELECT count(*) FROM blobs WHERE state <> 'live'") == 0


async def test_a_complete_pass_of_the_command_counts_for_the_alarms(scrubbed: Scrubbed) -> None:
    """After a repair the gauge falls at once, unless a scheduled pass is at work itself."""
    metadata = scrubbed.ground.metadata
    scrubbed.damage("missing", scrubbed.image.layer)
    ledger = await Ledger.take(metadata, "verify", patience_seconds=0)
    await ledger.begin(fast=False, repositories=())
    await Scrub(scrubbed.ground, ScrubOptions(), Quiet()).run(ledger)
    await ledger.complete(0)

    assert await ledger.copy_to(SCRUB_SWEEP, 3600)

    assert (await read_progress(metadata, SCRUB_SWEEP)).damaged == {"missing": 1}
    assert [finding.kind async for finding in read_findings(metadata, SCRUB_SWEEP)] == [Kind.MISSING]
    scheduled = await Ledger.take(metadata, SCRUB_SWEEP, patience_seconds=0)
    assert not await ledger.copy_to(SCRUB_SWEEP, 3600)
    await scheduled.release(0)


async def _compact(scrubbed: Scrubbed) -> Path:
    """Let the background worker write a segment, and return its file."""
    await scrubbed.database.fetch("UPDATE outbox SET at = 1")
    metadata, blobs = scrubbed.ground.metadata, scrubbed.ground.blobs
    journal = Journal(blobs, await metadata.instance.incarnation())
    await journal_duty(metadata, journal, SteadyClock(), StoreWatch(metadata, blobs)).run()
    segments = list((scrubbed.directory / "data/storage/journal").glob("*/segments/*"))
    return max(segments)


def _damage(segment: Path, fault: str) -> None:
    lines = segment.read_bytes().splitlines(keepends=True)
    kept = {"a line": [b"{damaged\n", *lines[1:]], "the end": lines[:-2], "everything": []}[fault]
    segment.write_bytes(b"".join(kept))


@pytest.mark.parametrize("fault", ["a line", "the end", "everything"])
async def test_f11_a_segment_that_lost_facts_is_written_anew(scrubbed: Scrubbed, fault: str) -> None:
    """In its place, from the database: nothing waits then, and a rebuild finds the segment as its name says."""
    segment = await _compact(scrubbed)
    assert await scrubbed.found() == {}
    whole = segment.read_bytes()
    _damage(segment, fault)

    assert await scrubbed.found() == {"journal-gap": "found", "journal-unreadable": "found"}
    rehearsed = await scrubbed.found(ScrubOptions(mode=Mode.REHEARSE))
    assert rehearsed == {"journal-gap": "would-heal", "journal-unreadable": "would-heal"}
    _, (healed,) = await scrubbed.verify(REPAIR)

    assert (healed.kind, healed.outcome, healed.source) == (
        Kind.JOURNAL_UNREADABLE,
        Outcome.HEALED,
        "the database",
    )
    assert segment.read_bytes() == whole
    assert await scrubbed.database.value("SELECT count(*) FROM outbox WHERE journalled_at IS NULL") == 0
    assert await scrubbed.found() == {}


@pytest.mark.parametrize("fault", ["a line", "the end", "everything"])
async def test_f11_of_a_segment_whose_name_covers_too_much_the_ends_are_written_anew(
    scrubbed: Scrubbed, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """As former programs let old facts wait among new ones: what lay between them goes into segments of its own."""
    segment = await _compact(scrubbed)
    facts = len(segment.read_bytes().splitlines())
    _damage(segment, fault)
    lost = {"a line": 0, "the end": 1, "everything": facts - 2}[fault]
    monkeypatch.setattr(journal_phase, "_FACTS", 2)

    found = await scrubbed.found(REPAIR)

    assert found == {"journal-unreadable": "healed"} | ({"journal-gap": "healed"} if lost else {})
    waiting = "SELECT count(*) FROM outbox WHERE journalled_at IS NULL"
    assert await scrubbed.database.value(waiting) == lost
    await _compact(scrubbed)
    assert await scrubbed.found() == {}


async def test_f11_a_torn_line_behind_all_facts_is_taken_out(scrubbed: Scrubbed) -> None:
    """Nothing is lacking, but every rebuild would end with 1."""
    segment = await _compact(scrubbed)
    whole = segment.read_bytes()
    segment.write_bytes(whole + b'{"sequence":2')

    assert await scrubbed.found(REPAIR) == {"journal-unreadable": "healed"}
    assert segment.read_bytes() == whole
    assert await scrubbed.found() == {}


@pytest.mark.parametrize("content", [b"", b"{torn"])
async def test_f11_a_damaged_entry_of_a_fact_that_is_written_is_written_anew(
    scrubbed: Scrubbed, content: bytes
) -> None:
    """One whose fact waits is left to the background worker, and of a number that nobody gave nothing is known."""
    segment = await _compact(scrubbed)
    first, last = segment.name.split("-")
    entries = segment.parent.parent / "entries"
    entries.mkdir(exist_ok=True)
    for number in (last, f"{int(last) + 1:020d}"):
        (entries / number).write_bytes(content)

    found = {
        one.name.rpartition("/")[2]: one.outcome for one in (await scrubbed.verify(REPAIR))[1] if one.key
    }

    assert found == {last: Outcome.HEALED, f"{int(last) + 1:020d}": Outcome.FOUND}
    assert (entries / last).read_bytes() == segment.read_bytes().splitlines(keepends=True)[-1]
    (entries / f"{int(last) + 1:020d}").unlink()
    assert await scrubbed.found() == {}
    (entries / first).write_bytes(content)
    await scrubbed.database.fetch(f"UPDATE outbox SET journalled_at = NULL WHERE id = {int(first)}")
    assert await scrubbed.found(REPAIR) == {"journal-unreadable": "found"}


async def test_f47_a_segment_of_other_facts_is_not_completed(scrubbed: Scrubbed) -> None:
    """What the database could add would make one history of two."""
    segment = await _compact(scrubbed)
    other = unsealed(segment.read_bytes()).replace(b'"repository":"team/app', b'"repository":"else/app')
    segment.write_bytes(b"".join(other.splitlines(keepends=True)[:-2]))
    before = segment.read_bytes()

    found = await scrubbed.found(REPAIR)

    assert (found["journal-unreadable"], found["journal-diverged"]) == ("found", "found")
    assert segment.read_bytes() == before


async def test_f11_a_repair_ends_when_no_fact_is_missing_any_more(
    scrubbed: Scrubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many were lost: it takes as many turns as memory asks for, and who only looks is told of more."""
    monkeypatch.setattr(journal_phase, "_MOST_MISSING", 2)
    segment = await _compact(scrubbed)
    lost = len(segment.read_bytes().splitlines())
    assert lost > 4
    segment.unlink()

    _, found = await scrubbed.verify()
    _, healed = await scrubbed.verify(replace(REPAIR, force=True))

    gaps = [finding.detail for finding in (*found, *healed) if finding.kind is Kind.JOURNAL_GAP]
    assert gaps == ["2 facts or more are missing: 1-2 …", f"{lost} facts are missing: 1-2 …"]
    assert await scrubbed.database.value("SELECT count(*) FROM outbox WHERE journalled_at IS NULL") == lost


async def test_f47_a_store_of_another_database_is_found_out(scrubbed: Scrubbed) -> None:
    """Facts that this database can't have written are named."""
    await _compact(scrubbed)
    await scrubbed.database.fetch("DELETE FROM outbox")

    _, (finding,) = await scrubbed.verify(REPAIR)

    assert finding.kind is Kind.JOURNAL_FOREIGN
    assert "has not seen yet" in finding.detail
