"""What is known to be lost of the journal keeps the sweep of orphans away until the journal was read again (F11, F47).

The objects that only the lost facts tell of must be there when a sound copy of them comes back (I8).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client import CollectorRegistry

from entrepot.bootstrap import open_stores
from entrepot.lifecycle.scrub.findings import Kind
from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, VERIFY_SWEEP, ScrubJob, ScrubSchedule
from entrepot.lifecycle.scrub.ledger import Ledger, read_findings
from entrepot.lifecycle.scrub.options import ScrubGround, ScrubOptions
from entrepot.lifecycle.scrub.scrub import Scrub
from entrepot.lifecycle.scrub.standing import why_nothing_may_be_removed
from entrepot.observability.metrics import build_metrics
from entrepot.registry.hashing import HashingPool
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from entrepot.workers.scrubbing import ScrubMeter, scrub_duty
from tests.asgi.services import in_process_registry
from tests.asgi.small_images import NAME
from tests.integration.rebuilding import compacted_registry, lose_database, push_segment, rebuild, segments_of
from tests.integration.scrubbing import Quiet
from tests.integration.test_commands import run
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.bootstrap import Stores
    from entrepot.settings import Settings

_GAP: Final = "facts in the journal that the database lacks"
_LOST: Final = "a part of the journal that can't be read"


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose journal lies in the segments `1-3`, `4-6` and `7-7`."""
    settings = await compacted_registry(tmp_path / "data")
    await push_segment(settings, "b", "c", "d")
    await push_segment(settings, "e")
    return settings


class _BrokenOffError(Exception):
    """A pass that was to end here."""


class _BreakingOff(Quiet):
    """Breaks a pass off when it has read the journal."""

    def begin(self, phase: str, total: int | None, *, in_bytes: bool) -> None:
        """See `Watcher`."""
        super().begin(phase, total, in_bytes=in_bytes)
        if phase == "objects":
            raise _BrokenOffError


async def _pass(stores: Stores, sweep: str, *, until_objects: bool = False) -> None:
    """Begin a pass, or go on with one that was broken off, until its end or until the journal was read."""
    ledger = await Ledger.take(stores.metadata, sweep, patience_seconds=0)
    if not ledger.progress.running:
        await ledger.begin(fast=False, repositories=())
    with ThreadPoolExecutor(2) as executor:
        ground = ScrubGround(stores.metadata, stores.blobs, HashingPool(executor))
        if until_objects:
            with pytest.raises(_BrokenOffError):
                await Scrub(ground, ScrubOptions(), _BreakingOff()).run(ledger)
            await ledger.release(0)
            return
        await Scrub(ground, ScrubOptions(), Quiet()).run(ledger)
    await ledger.complete(3600)


async def _rebuild_without_a_segment(settings: Settings) -> tuple[Path, bytes]:
    """Let a file of the journal be gone during a rebuild; return it, and what it held."""
    segment = segments_of(settings)[1]
    content = segment.read_bytes()
    segment.unlink()
    lose_database(settings)
    assert (await rebuild(settings))[0] == 0
    return segment, content


async def _rebuild_from_a_torn_line(settings: Settings) -> tuple[Path, bytes]:
    segment = segments_of(settings)[1]
    whole = segment.read_bytes()
    first, _, third = whole.splitlines(keepends=True)
    segment.write_bytes(first + b"{damaged\n" + third)
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1
    return segment, whole


async def _refused(stores: Stores) -> str:
    """Do a pass of the sweep that would remove every orphan at once; return why it did not."""
    clock = await steady_clock(stores.metadata)
    objection = partial(why_nothing_may_be_removed, stores.metadata)
    options = SweepOptions(grace_seconds=0, period_seconds=0, page_pause_seconds=0)
    report = await OrphanSweep(stores.metadata, stores.blobs, options, clock, objection).run()
    assert not (report.refused and report.removed)
    return report.refused


async def _pulls(settings: Settings) -> set[int]:
    async with in_process_registry(settings) as registry:
        paths = [f"/v2/{NAME}/manifests/{tag}" for tag in "abcde"]
        return {(await registry.client.request("GET", path)).status for path in paths}


def _verify(settings: Settings, tmp_path: Path, *options: str) -> tuple[int, str]:
    done = run(tmp_path, "verify", *options, "--data", str(settings.data.directory))
    return done.returncode, done.stdout


@pytest.mark.parametrize("is_under_way", [True, False])
async def test_f11_a_rebuild_keeps_the_sweep_away_before_anybody_verifies(
    settings: Settings,
    is_under_way: bool,
) -> None:
    """A scheduled pass reads the journal behind all blobs, days later, and none comes if they are switched off."""
    segment, whole = await _rebuild_from_a_torn_line(settings)
    values = CollectorRegistry()
    metrics = build_metrics(values)
    async with open_stores(settings) as stores:
        if is_under_way:
            ledger = await Ledger.take(stores.metadata, SCRUB_SWEEP, patience_seconds=0)
            await ledger.begin(fast=False, repositories=())
        for _ in range(3):
            assert _LOST in await _refused(stores)
        with ThreadPoolExecutor(1) as executor:
            ground = ScrubGround(stores.metadata, stores.blobs, HashingPool(executor))
            schedule = ScrubSchedule(3600, ScrubOptions())
            job = ScrubJob(ground, schedule, ScrubMeter(metrics), await steady_clock(stores.metadata))
            await scrub_duty(job, stores.metadata, metrics).run()
            await job.aclose()
    assert values.get_sample_value("registry_scrub_damaged", {"kind": "journal-lost"}) == 1

    segment.write_bytes(whole)
    assert (await rebuild(settings, "--catch-up"))[0] == 0
    assert await _pulls(settings) == {200}


async def test_f11_a_rebuild_says_that_the_sweep_rests(settings: Settings, tmp_path: Path) -> None:
    segment = segments_of(settings)[1]
    segment.write_bytes(segment.read_bytes()[:-9])
    lose_database(settings)

    done = run(tmp_path, "rebuild", "--data", str(settings.data.directory))

    assert (done.returncode, "orphan_grace_seconds" in done.stdout) == (1, False)
    assert "the sweep of orphans removes none before these are mended or given up" in done.stdout


async def test_f11_a_verification_that_leaves_the_journal_out_ends_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    await _rebuild_from_a_torn_line(settings)
    async with open_stores(settings) as stores:
        ledger = await Ledger.take(stores.metadata, SCRUB_SWEEP, patience_seconds=0)
        await ledger.begin(fast=False, repositories=())
        assert _verify(settings, tmp_path)[0] == 1

        assert _verify(settings, tmp_path, "--repository", NAME)[0] == 0

        assert _LOST in await _refused(stores)


async def test_f11_a_scheduled_pass_that_read_the_journal_before_ends_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    segment, content = await _rebuild_without_a_segment(settings)
    async with open_stores(settings) as stores:
        await _pass(stores, SCRUB_SWEEP, until_objects=True)
        segment.write_bytes(content)
        assert _verify(settings, tmp_path)[0] == 1

        await _pass(stores, SCRUB_SWEEP)

        assert _GAP in await _refused(stores)

    assert (await rebuild(settings, "--catch-up"))[0] == 0
    assert await _pulls(settings) == {200}


async def test_f11_a_verification_that_goes_on_later_ends_nothing_that_was_found_meanwhile(
    settings: Settings, tmp_path: Path
) -> None:
    """What the scheduled pass found is still shown, and the command does not say that the sweep removes anything."""
    segment, content = await _rebuild_without_a_segment(settings)
    async with open_stores(settings) as stores:
        await _pass(stores, VERIFY_SWEEP, until_objects=True)
        segment.write_bytes(content)
        await _pass(stores, SCRUB_SWEEP)

        code, said = _verify(settings, tmp_path, "--resume")

        assert (code, "removes them in time" in said, "removes none before" in said) == (0, False, True)
        assert _GAP in await _refused(stores)
        kinds = [finding.kind async for finding in read_findings(stores.metadata, SCRUB_SWEEP)]
        assert kinds == [Kind.DATABASE_GAP]


async def test_f11_what_proved_the_store_is_given_up_as_the_finding_says(
    settings: Settings, tmp_path: Path
) -> None:
    """The file held the first fact, without which the store is taken for another one."""
    segment = segments_of(settings)[0]
    first, second, _ = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(first + second)
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1
    assert (
        "--repair, with --force if it says that this store lacks"
        in _verify(settings, tmp_path, "-o", "json")[1]
    )

    assert (await rebuild(settings, "--catch-up"))[0] == 1
    segment.unlink()
    assert _verify(settings, tmp_path, "--repair")[0] == 3
    assert _verify(settings, tmp_path, "--repair", "--force")[0] == 0

    async with open_stores(settings) as stores:
        assert await _refused(stores) == ""
