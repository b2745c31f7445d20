"""Metrics: what a scrape shows after use, alone and gathered from several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from entrepot.observability.buffered_metrics import BufferedDurations
from entrepot.observability.metric_definitions import METRIC_DEFINITIONS
from entrepot.observability.metrics import build_metrics, greatest_gauge, render_metrics

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """
import sys
from prometheus_client import CollectorRegistry
from entrepot.observability.metrics import build_metrics
metrics = build_metrics(CollectorRegistry())
number = int(sys.argv[1])
metrics.pull_blob.observe(0.3)
metrics.requests.count("blob.get", 200)
metrics.uploads_in_progress.inc(number)
if number == 2:
    metrics.storage_used_bytes.set(1234)
metrics.flush_requests()
"""
SCRAPE = """
from prometheus_client import CollectorRegistry
from entrepot.observability.metrics import build_metrics, render_metrics
registry = CollectorRegistry()
build_metrics(registry)
print(render_metrics(registry)[0].decode())
"""


@pytest.fixture(autouse=True)
def _single_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)


def read_samples(text: str) -> dict[str, float]:
    """Return samples as ``name{label=value}`` to value."""
    return {
        sample.name
        + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_shows_what_was_measured() -> None:
    """Durations, answers and gauges come out under their documented names."""
    registry = CollectorRegistry()
    metrics = build_metrics(registry)
    metrics.pull_manifest.observe(0.02)
    metrics.push_blob.observe(45)
    metrics.requests.count("manifest.get", 404)
    metrics.requests.count("manifest.get", 404)
    metrics.uploads_in_progress.inc()
    metrics.storage_capacity_bytes.set(10)
    metrics.responses_aborted.inc()
    metrics.flush_requests()

    body, content_type = render_metrics(registry)

    samples = read_samples(body.decode())
    assert content_type.startswith("text/plain")
    assert samples["registry_pull_duration_seconds_bucket{le=0.01}{operation=manifest}"] == 0
    assert samples["registry_pull_duration_seconds_bucket{le=0.025}{operation=manifest}"] == 1
    assert samples["registry_push_duration_seconds_sum{operation=blob}"] == 45
    assert samples["registry_requests_total{operation=manifest.get}{status=404}"] == 2
    assert samples["registry_uploads_in_progress"] == 1
    assert samples["registry_storage_capacity_bytes"] == 10
    assert samples["registry_responses_aborted_total"] == 1


def test_buffered_durations_fill_the_buckets_that_the_library_would_fill() -> None:
    """Handing on observations together gives the same samples as observing each, at the limits too, and only once."""
    limits = (0.25, 0.5, 1.0)
    seconds = [0.0, 0.25, 0.2500001, 0.5, 0.75, 1.0, 1.5, 600.0]
    expected, actual = CollectorRegistry(), CollectorRegistry()
    one_by_one = Histogram("seconds", "Text", registry=expected, buckets=limits)
    together = BufferedDurations(Histogram("seconds", "Text", registry=actual, buckets=limits), limits)

    for value in seconds:
        one_by_one.observe(value)
        together.observe(value)
    assert read_samples(generate_latest(actual).decode())["seconds_count"] == 0
    together.flush()
    together.flush()

    def without_creation(registry: CollectorRegistry) -> dict[str, float]:
        samples = read_samples(generate_latest(registry).decode())
        return {name: value for name, value in samples.items() if not name.endswith("_created")}

    assert without_creation(actual) == without_creation(expected)


def test_durations_can_be_judged_at_half_a_second_and_at_one() -> None:
    """Both histograms have boundaries at 0.5 s and 1 s, the figures that a service level is stated in."""
    buckets = [set(definition.buckets) for definition in METRIC_DEFINITIONS if definition.kind == "histogram"]

    assert [{0.5, 1.0} <= limits for limits in buckets] == [True, True]


def test_every_definition_is_made_and_no_metric_lacks_one() -> None:
    """The documented list and the exposed list are the same."""
    registry = CollectorRegistry()
    build_metrics(registry)

    exposed = {family.name for family in registry.collect()}
    assert exposed == {definition.name.removesuffix("_total") for definition in METRIC_DEFINITIONS}


def test_no_label_could_grow_without_bound() -> None:
    """Labels are operation, status, store, reason and kind of damage only: never a repository, a tag or a digest."""
    assert {label for definition in METRIC_DEFINITIONS for label in definition.labels} == {
        "kind",
        "operation",
        "reason",
        "status",
        "store",
    }


def test_processes_are_gathered_into_one_scrape(tmp_path: Path) -> None:
    """Counters and histograms add up over processes, uploads add up over live ones, sizes show the latest."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for number in ("1", "2", "3"):
        subprocess.run([sys.executable, "-c", WORKER, number], env=environment, check=True)

    scrape = subprocess.run(
        [sys.executable, "-c", SCRAPE], env=environment, check=True, capture_output=True, text=True
    )

    samples = read_samples(scrape.stdout)
    assert samples["registry_pull_duration_seconds_bucket{le=0.5}{operation=blob}"] == 3
    assert samples["registry_requests_total{operation=blob.get}{status=200}"] == 3
    assert samples["registry_uploads_in_progress"] == 6
    assert samples["registry_storage_used_bytes"] == 1234


@pytest.mark.parametrize("content", [b"", b"\x00" * 3, b"\xff" * 64])
def test_a_gauge_that_can_not_be_read_is_no_reason_to_stop_looking_f47(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """A process makes its file before it fills it."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "gauge_livemax_1.db").write_bytes(content)

    assert greatest_gauge("registry_database_mismatch") == 0


def test_without_descriptors_no_gauge_is_read_f47(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even their directory."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("pathlib.Path.glob", refuse)

    assert greatest_gauge("registry_database_mismatch") == 0
