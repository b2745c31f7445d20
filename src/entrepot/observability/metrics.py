"""The metrics as objects ready to be fed, with the children of labels looked up once instead of per request.

With PROMETHEUS_MULTIPROC_DIR in the environment before this module is first imported, every process writes
its values to files in that directory; without it (unit tests) values live in the given registry.
"""

from __future__ import annotations

import contextlib
import os
import struct
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast, final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from entrepot.observability.buffered_metrics import BufferedDurations, BufferedRequestCounts
from entrepot.observability.metric_definitions import METRIC_DEFINITIONS, MetricDefinition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

__all__ = ["Metrics", "build_metrics", "greatest_gauge", "render_metrics"]

_BUCKETS: Final = {definition.name: definition.buckets for definition in METRIC_DEFINITIONS}


@final
@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything that is measured; durations in seconds, as ``metrics.pull_blob.observe(seconds)``.

    What every request changes is buffered: it is in a scrape after the next :meth:`flush_requests`.
    """

    pull_manifest: BufferedDurations
    pull_blob: BufferedDurations
    push_manifest: BufferedDurations
    push_blob: BufferedDurations
    requests: BufferedRequestCounts
    responses_aborted: Counter
    damaged_content: Counter
    store_failures: Counter
    storage_suspect: Gauge
    uploads_in_progress: Gauge
    bodies_in_progress: Gauge
    refused_greedy_addresses: Counter
    refused_overload: Counter
    refused_slow_bodies: Counter
    refused_logins: Counter
    storage_used_bytes: Gauge
    storage_capacity_bytes: Gauge
    sqlite_wal_bytes: Gauge
    journal_backlog: Gauge
    database_mismatch: Gauge
    uploads_expired: Counter
    orphans: Gauge
    orphan_bytes: Gauge
    orphans_found: Counter
    orphans_removed: Counter
    orphans_removed_bytes: Counter
    blobs_healed: Counter
    scrub_running: Gauge
    scrub_progress: Gauge
    scrub_last_completed: Gauge
    scrub_damaged: Gauge
    scrub_objects: Counter
    scrub_bytes: Counter
    backup_last_completed: Gauge
    audit_unsealed: Gauge
    audit_drained: Gauge
    audit_spool_bytes: Gauge
    audit_spool_failures: Counter
    audit_condensed: Counter
    audit_buffered: Counter
    audit_buffer_records: Gauge
    audit_spool_damaged_bytes: Counter
    audit_checkpoint: Gauge
    signing_keys_locked: Gauge
    clock_skew: Gauge
    audit_unsigned_seconds: Gauge
    audit_checkpoint_failures: Counter

    def flush_requests(self) -> None:
        """Hand on what was counted of requests; whoever counts sees to it that this is called soon after."""
        self.requests.flush()
        for durations in (self.pull_manifest, self.pull_blob, self.push_manifest, self.push_blob):
            durations.flush()


def build_metrics(registry: CollectorRegistry) -> Metrics:
    """Make every metric and register it with ``registry``. Once per process and registry."""
    made = {definition.name: _make(definition, registry) for definition in METRIC_DEFINITIONS}

    def durations(name: str, operation: str) -> BufferedDurations:
        histogram = cast("Histogram", made[name]).labels(operation)
        return BufferedDurations(histogram, _BUCKETS[name])

    refused = cast("Counter", made["registry_requests_refused_total"])
    return Metrics(
        pull_manifest=durations("registry_pull_duration_seconds", "manifest"),
        pull_blob=durations("registry_pull_duration_seconds", "blob"),
        push_manifest=durations("registry_push_duration_seconds", "manifest"),
        push_blob=durations("registry_push_duration_seconds", "blob"),
        requests=BufferedRequestCounts(cast("Counter", made["registry_requests_total"])),
        responses_aborted=cast("Counter", made["registry_responses_aborted_total"]),
        damaged_content=cast("Counter", made["registry_damaged_content_total"]),
        store_failures=cast("Counter", made["registry_store_failures_total"]),
        storage_suspect=cast("Gauge", made["registry_storage_suspect"]),
        uploads_in_progress=cast("Gauge", made["registry_uploads_in_progress"]),
        bodies_in_progress=cast("Gauge", made["registry_bodies_in_progress"]),
        refused_greedy_addresses=refused.labels("address"),
        refused_overload=refused.labels("overload"),
        refused_slow_bodies=refused.labels("slow_body"),
        refused_logins=cast("Counter", made["registry_logins_refused_total"]),
        storage_used_bytes=cast("Gauge", made["registry_storage_used_bytes"]),
        storage_capacity_bytes=cast("Gauge", made["registry_storage_capacity_bytes"]),
        sqlite_wal_bytes=cast("Gauge", made["registry_sqlite_wal_bytes"]),
        journal_backlog=cast("Gauge", made["registry_journal_backlog"]),
        database_mismatch=cast("Gauge", made["registry_database_mismatch"]),
        uploads_expired=cast("Counter", made["registry_uploads_expired_total"]),
        orphans=cast("Gauge", made["registry_orphans"]),
        orphan_bytes=cast("Gauge", made["registry_orphan_bytes"]),
        orphans_found=cast("Counter", made["registry_orphans_found_total"]),
        orphans_removed=cast("Counter", made["registry_orphans_removed_total"]),
        orphans_removed_bytes=cast("Counter", made["registry_orphans_removed_bytes_total"]),
        blobs_healed=cast("Counter", made["registry_blobs_healed_total"]),
        scrub_running=cast("Gauge", made["registry_scrub_running"]),
        scrub_progress=cast("Gauge", made["registry_scrub_progress_ratio"]),
        scrub_last_completed=cast("Gauge", made["registry_scrub_last_completed_timestamp_seconds"]),
        scrub_damaged=cast("Gauge", made["registry_scrub_damaged"]),
        scrub_objects=cast("Counter", made["registry_scrub_objects_total"]),
        scrub_bytes=cast("Counter", made["registry_scrub_bytes_total"]),
        backup_last_completed=cast("Gauge", made["registry_backup_last_completed_timestamp_seconds"]),
        audit_unsealed=cast("Gauge", made["registry_audit_unsealed"]),
        audit_drained=cast("Gauge", made["registry_audit_drained_timestamp_seconds"]),
        audit_spool_bytes=cast("Gauge", made["registry_audit_spool_bytes"]),
        audit_spool_failures=cast("Counter", made["registry_audit_spool_failures_total"]),
        audit_condensed=cast("Counter", made["registry_audit_condensed_refusals_total"]),
        audit_buffered=cast("Counter", made["registry_audit_buffered_total"]),
        audit_buffer_records=cast("Gauge", made["registry_audit_buffer_records"]),
        audit_spool_damaged_bytes=cast("Counter", made["registry_audit_spool_damaged_bytes_total"]),
        audit_checkpoint=cast("Gauge", made["registry_audit_checkpoint_timestamp_seconds"]),
        signing_keys_locked=cast("Gauge", made["registry_signing_keys_locked"]),
        clock_skew=cast("Gauge", made["registry_clock_skew_seconds"]),
        audit_unsigned_seconds=cast("Gauge", made["registry_audit_unsigned_seconds"]),
        audit_checkpoint_failures=cast("Counter", made["registry_audit_checkpoint_failures_total"]),
    )


def _make(definition: MetricDefinition, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name, text, labels = definition.name, definition.help, definition.labels
    if definition.kind == "counter":
        return Counter(name, text, labels, registry=registry)
    if definition.kind == "histogram":
        return Histogram(name, text, labels, registry=registry, buckets=definition.buckets)
    mode = definition.gauge_mode or "mostrecent"
    return Gauge(name, text, labels, registry=registry, multiprocess_mode=mode)


def greatest_gauge(name: str) -> float:
    """Return the most that one of the processes which share a directory says of a gauge without labels; 0 without one.

    For what is bounded in each process: two that are half full have room, also while one takes the other's place.
    Reads files, so call it off the event loop.
    """
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None:
        return 0.0
    with contextlib.suppress(OSError):  # without descriptors nothing can be read: not even the directory
        return max(
            (_gauge_of(str(path), name) for path in Path(directory).glob("gauge_live*.db")), default=0.0
        )
    return 0.0


def _gauge_of(path: str, name: str) -> float:
    """Return what one process says; 0 for one that ended meanwhile, or that has made its file and not filled it yet."""
    try:
        metrics = cast("Iterable[Metric]", MultiProcessCollector.merge((path,)))  # type: ignore[no-untyped-call]  # as below
    except (OSError, ValueError, struct.error):
        return 0.0
    samples = chain.from_iterable(one.samples for one in metrics if one.name == name)
    return sum(sample.value for sample in samples)


def render_metrics(registry: CollectorRegistry) -> tuple[bytes, str]:
    """Return body and content type of a scrape: all processes if they share a directory, else ``registry``.

    Reads files in the first case, so call it off the event loop.
    """
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]  # the library leaves it untyped
        return generate_latest(gathered), CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_LATEST
