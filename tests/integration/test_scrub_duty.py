"""The scheduled verification as a scrape sees it: damage, progress, and when a pass was last complete."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog.testing
from prometheus_client import CollectorRegistry

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.blobstore.keys import JOURNAL
from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, ScrubJob, ScrubSchedule
from entrepot.lifecycle.scrub.ledger import Ledger, Progress
from entrepot.lifecycle.scrub.options import ScrubOptions
from entrepot.observability.metrics import build_metrics
from entrepot.workers.scrubbing import ScrubMeter, scrub_duty
from tests.integration.scrubbing import scrubbed_registry
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from entrepot.blobstore.driver import StoredObject

_COMPLETED = "registry_scrub_last_completed_timestamp_seconds"
_YEAR = 366 * 86_400_000


async def test_the_metrics_tell_of_a_pass_and_of_what_it_found(tmp_path: Path) -> None:
    """The gauge of damage keeps the last pass's figure while the next one is under way."""
    values = CollectorRegistry()
    metrics = build_metrics(values)
    async with scrubbed_registry(tmp_path) as scrubbed:
        scrubbed.damage("missing", scrubbed.image.layer)
        ground = scrubbed.ground
        clock = await steady_clock(ground.metadata)
        job = ScrubJob(ground, ScrubSchedule(3600, ScrubOptions()), ScrubMeter(metrics), clock)
        duty = scrub_duty(job, ground.metadata, metrics)
        assert values.get_sample_value("registry_scrub_last_completed_timestamp_seconds") == 0

        await duty.run()
        assert values.get_sample_value("registry_scrub_running") == 1
        while job.is_running:
            await asyncio.sleep(0.02)
            await duty.run()

        damaged = values.get_sample_value("registry_scrub_damaged", {"kind": "missing"})
        assert damaged == 1
        assert values.get_sample_value("registry_scrub_damaged", {"kind": "corrupt"}) == 0
        assert values.get_sample_value("registry_scrub_running") == 0
        assert (values.get_sample_value("registry_scrub_last_completed_timestamp_seconds") or 0) > 1.7e9
        assert values.get_sample_value("registry_scrub_bytes_total") == len(scrubbed.image.config)
        assert (values.get_sample_value("registry_scrub_objects_total") or 0) >= 4
        ratio = values.get_sample_value("registry_scrub_progress_ratio")
        assert ratio is not None
        assert 0 < ratio < 1

        await scrubbed.database.fetch("UPDATE sweeps SET due_at = 0")
        job._ask_at = 0
        await duty.run()
        assert values.get_sample_value("registry_scrub_damaged", {"kind": "missing"}) == 1
        await job.aclose()


class _Failing(FilesystemBlobStore):
    """Can't be listed to its end."""

    async def list_objects(self, prefix: str, start_after: str = "") -> AsyncGenerator[StoredObject]:
        """Fail at a segment of the journal."""
        async for found in super().list_objects(prefix, start_after):
            if found.key.startswith(JOURNAL):
                raise StorageUnavailableError(found.key)
            yield found


async def test_a_pass_that_broke_off_is_not_gone_on_with_at_once_however_short_the_period_is(
    tmp_path: Path,
) -> None:
    """Its turn comes in 300 s, which is no time of a clock that was ahead though the period is 60 s."""
    metrics = build_metrics(CollectorRegistry())
    async with scrubbed_registry(tmp_path) as scrubbed:
        store = _Failing(tmp_path / "data/storage")
        job = ScrubJob(
            replace(scrubbed.ground, blobs=store),
            ScrubSchedule(60, ScrubOptions()),
            ScrubMeter(metrics),
            await steady_clock(scrubbed.ground.metadata),
        )
        await job.attend()
        assert job._task is not None
        await asyncio.wait((job._task,))
        with pytest.raises(StorageUnavailableError):
            await job.attend()

        job._ask_at = 0
        with structlog.testing.capture_logs() as lines:
            await job.attend()

        assert (job.is_running, lines) == (False, [])
        await job.aclose()
        await store.aclose()


async def test_a_pass_of_years_to_come_stops_neither_the_next_nor_the_alarm_f27(tmp_path: Path) -> None:
    """The gauge says that it was long ago until a pass ends by the right clock, and that pass is due at once."""
    values = CollectorRegistry()
    metrics = build_metrics(values)
    async with scrubbed_registry(tmp_path) as scrubbed:
        ground = scrubbed.ground
        clock = await steady_clock(ground.metadata)
        job = ScrubJob(ground, ScrubSchedule(3600, ScrubOptions()), ScrubMeter(metrics), clock)
        duty = scrub_duty(job, ground.metadata, metrics)
        ledger = await Ledger.take(ground.metadata, SCRUB_SWEEP, patience_seconds=0)
        await ledger.complete(3600)
        now = await ground.metadata.diagnosis.clock_milliseconds()
        progress = msgspec.json.encode(Progress(completed_at_milliseconds=now + _YEAR)).decode()
        await scrubbed.database.fetch(f"UPDATE sweeps SET due_at = due_at + {_YEAR}, progress = '{progress}'")

        await duty.run()
        assert values.get_sample_value(_COMPLETED) == 1
        assert values.get_sample_value("registry_scrub_running") == 1
        while job.is_running:
            await asyncio.sleep(0.02)
            await duty.run()

        assert now / 1000 <= (values.get_sample_value(_COMPLETED) or 0) < (now + _YEAR) / 1000 - 60
        job._ask_at = 0
        await duty.run()
        assert values.get_sample_value("registry_scrub_running") == 0
