"""The scheduled verification as a scrape sees it: damage, progress, and when a pass was last complete."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import CollectorRegistry

from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, ScrubJob, ScrubSchedule
from entrepot.lifecycle.scrub.ledger import Ledger, Progress
from entrepot.lifecycle.scrub.options import ScrubOptions
from entrepot.observability.metrics import build_metrics
from entrepot.workers.scrubbing import ScrubMeter, scrub_duty
from tests.integration.scrubbing import scrubbed_registry

if TYPE_CHECKING:
    from pathlib import Path

_COMPLETED = "registry_scrub_last_completed_timestamp_seconds"
_YEAR = 366 * 86_400_000


async def test_the_metrics_tell_of_a_pass_and_of_what_it_found(tmp_path: Path) -> None:
    """The gauge of damage keeps the last pass's figure while the next one is under way."""
    values = CollectorRegistry()
    metrics = build_metrics(values)
    async with scrubbed_registry(tmp_path) as scrubbed:
        scrubbed.damage("missing", scrubbed.image.layer)
        ground = scrubbed.ground
        job = ScrubJob(ground, ScrubSchedule(3600, ScrubOptions()), ScrubMeter(metrics))
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


async def test_a_pass_of_years_to_come_stops_neither_the_next_nor_the_alarm_f27(tmp_path: Path) -> None:
    """The gauge says that it was long ago until a pass ends by the right clock, and that pass is due at once."""
    values = CollectorRegistry()
    metrics = build_metrics(values)
    async with scrubbed_registry(tmp_path) as scrubbed:
        ground = scrubbed.ground
        job = ScrubJob(ground, ScrubSchedule(3600, ScrubOptions()), ScrubMeter(metrics))
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
