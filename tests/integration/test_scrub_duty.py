"""The scheduled verification as a scrape sees it: damage, progress, and when a pass was last complete."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from entrepot.lifecycle.scrub.job import ScrubJob, ScrubSchedule
from entrepot.lifecycle.scrub.options import ScrubOptions
from entrepot.observability.metrics import build_metrics
from entrepot.workers.scrubbing import ScrubMeter, scrub_duty
from tests.integration.scrubbing import scrubbed_registry

if TYPE_CHECKING:
    from pathlib import Path


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
