"""The metrics as objects ready to be fed, with the children of labels looked up once instead of per request.

With PROMETHEUS_MULTIPROC_DIR in the environment before this module is first imported, every process writes
its values to files in that directory; without it (unit tests) values live in the given registry.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import cast, final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from entrepot.observability.metric_definitions import METRIC_DEFINITIONS, MetricDefinition

__all__ = ["Metrics", "build_metrics", "render_metrics"]


@final
@dataclass(frozen=True, slots=True)
class RequestCounters:
    """Counts answers; one child per (operation, status) that has occurred."""

    counter: Counter
    _children: dict[tuple[str, int], Counter] = field(default_factory=dict[tuple[str, int], Counter])

    def count(self, operation: str, status: int) -> None:
        """Add one answer. ``operation`` must come from a fixed list of route names."""
        child = self._children.get((operation, status))
        if child is None:
            child = self._children[operation, status] = self.counter.labels(operation, str(status))
        child.inc()


@final
@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything that is measured; durations in seconds, as ``metrics.pull_blob.observe(seconds)``."""

    pull_manifest: Histogram
    pull_blob: Histogram
    push_manifest: Histogram
    push_blob: Histogram
    requests: RequestCounters
    responses_aborted: Counter
    uploads_in_progress: Gauge
    storage_used_bytes: Gauge
    storage_capacity_bytes: Gauge
    sqlite_wal_bytes: Gauge
    journal_backlog: Gauge


def build_metrics(registry: CollectorRegistry) -> Metrics:
    """Make every metric and register it with ``registry``. Once per process and registry."""
    made = {definition.name: _make(definition, registry) for definition in METRIC_DEFINITIONS}
    pull = cast("Histogram", made["registry_pull_duration_seconds"])
    push = cast("Histogram", made["registry_push_duration_seconds"])
    return Metrics(
        pull_manifest=pull.labels("manifest"),
        pull_blob=pull.labels("blob"),
        push_manifest=push.labels("manifest"),
        push_blob=push.labels("blob"),
        requests=RequestCounters(cast("Counter", made["registry_requests_total"])),
        responses_aborted=cast("Counter", made["registry_responses_aborted_total"]),
        uploads_in_progress=cast("Gauge", made["registry_uploads_in_progress"]),
        storage_used_bytes=cast("Gauge", made["registry_storage_used_bytes"]),
        storage_capacity_bytes=cast("Gauge", made["registry_storage_capacity_bytes"]),
        sqlite_wal_bytes=cast("Gauge", made["registry_sqlite_wal_bytes"]),
        journal_backlog=cast("Gauge", made["registry_journal_backlog"]),
    )


def _make(definition: MetricDefinition, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name, text, labels = definition.name, definition.help, definition.labels
    if definition.kind == "counter":
        return Counter(name, text, labels, registry=registry)
    if definition.kind == "histogram":
        return Histogram(name, text, labels, registry=registry, buckets=definition.buckets)
    if definition.gauge_mode == "livesum":
        return Gauge(name, text, labels, registry=registry, multiprocess_mode="livesum")
    return Gauge(name, text, labels, registry=registry, multiprocess_mode="mostrecent")


def render_metrics(registry: CollectorRegistry) -> tuple[bytes, str]:
    """Return body and content type of a scrape: all processes if they share a directory, else ``registry``.

    Reads files in the first case, so call it off the event loop.
    """
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]  # the library leaves it untyped
        return generate_latest(gathered), CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_LATEST
