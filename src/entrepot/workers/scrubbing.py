"""The duty that attends to the scheduled verification and keeps its metrics true."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.lifecycle.scrub.findings import NOTES, Kind
from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, ScrubJob, ScrubSchedule
from entrepot.lifecycle.scrub.ledger import read_dated_progress
from entrepot.lifecycle.scrub.options import Mode, ScrubGround, ScrubOptions
from entrepot.lifecycle.scrub.standing import standing_in, with_journal_damage
from entrepot.registry.hashing import HashingPool
from entrepot.workers.completion_times import shown_completion
from entrepot.workers.worker import Duty

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.blobstore.driver import BlobStore
    from entrepot.lifecycle.recovery import BlobRecovery
    from entrepot.lifecycle.scrub.findings import Finding
    from entrepot.metadata.store import Metadata
    from entrepot.observability.metrics import Metrics
    from entrepot.registry.sweeps.steady_clock import SteadyClock

__all__ = ["ScrubMeter", "ScrubPlan", "open_scrub_duty", "scrub_duty"]

_PERIOD_SECONDS: Final = 5.0


class ScrubMeter:
    """Counts what a pass does; a watcher of :class:`entrepot.lifecycle.scrub.scrub.Scrub`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._in_bytes = False
        self._total: int | None = None
        self._done = 0

    def begin(self, phase: str, total: int | None, *, in_bytes: bool) -> None:  # noqa: ARG002  # people want the name
        """A phase begins."""
        self._in_bytes, self._total, self._done = in_bytes, total, 0

    def advance(self, count: int) -> None:
        """So much more is done."""
        if not self._in_bytes:
            self._metrics.scrub_objects.inc(count)
            return
        self._metrics.scrub_bytes.inc(count)
        self._done += count
        if self._total:
            self._metrics.scrub_progress.set(min(self._done / self._total, 1.0))

    def found(self, finding: Finding) -> None:
        """The log tells of it, and the gauge is read from the rows."""


@dataclass(frozen=True, slots=True)
class ScrubPlan:
    """What the settings say about the scheduled verification.

    Attributes:
        repairs: whether damage is healed and set aside, or only reported.
        sources: where sound bytes may come from.
    """

    period_seconds: int
    bytes_per_second: int
    repairs: bool
    sources: tuple[BlobRecovery, ...]


@contextlib.asynccontextmanager
async def open_scrub_duty(
    metadata: Metadata, blobs: BlobStore, metrics: Metrics, plan: ScrubPlan, clock: SteadyClock
) -> AsyncIterator[Duty]:
    """Yield the duty with a thread to hash on; a pass under way is stopped at the end, and goes on elsewhere."""
    options = ScrubOptions(
        mode=Mode.REPAIR if plan.repairs else Mode.REPORT,
        parallel=1,
        bytes_per_second=plan.bytes_per_second,
        sources=plan.sources,
        operator="scrub",
    )
    with ThreadPoolExecutor(1, thread_name_prefix="scrub") as executor:
        ground = ScrubGround(metadata, blobs, HashingPool(executor))
        schedule = ScrubSchedule(plan.period_seconds, options)
        job = ScrubJob(ground, schedule, ScrubMeter(metrics), clock)
        try:
            yield scrub_duty(job, metadata, metrics)
        finally:
            await job.aclose()


def scrub_duty(job: ScrubJob, metadata: Metadata, metrics: Metrics) -> Duty:
    """Return the duty, every five seconds; a pass under way goes on between its runs."""

    async def run() -> None:
        try:
            await job.attend()
        finally:
            metrics.scrub_running.set(int(job.is_running))
        progress, now = await read_dated_progress(metadata, SCRUB_SWEEP)
        metrics.scrub_last_completed.set(shown_completion(progress.completed_at_milliseconds, now))
        standing = await with_journal_damage(metadata, standing_in(progress))
        for kind in Kind:
            if kind not in NOTES:
                metrics.scrub_damaged.labels(kind).set(standing.get(kind, 0))

    return Duty("scrub", _PERIOD_SECONDS, run)
