"""The product under mixed load for an hour: no request fails, and nothing that it holds grows."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.processes.assignment import Role
from tests.plumbing.evidence import LongRun, write_evidence
from tests.processes.running import wait_for
from tests.running.entrepot import RunningEntrepot
from tests.running.process_resources import open_files
from tests.soak.client import SoakClient
from tests.soak.findings import SoakRun, findings_of
from tests.soak.flatness import Bound, Verdict, judge
from tests.soak.reading_threads import ReadingThreads
from tests.soak.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_COVERS: Final = ("src/entrepot", "tests/soak")
_CLIENTS: Final = 4
_MIB: Final = 1 << 20
_KEPT_DESCRIPTORS: Final = 4
"""What a first load may leave open: connections to the database that are used again."""
_WARM_UP_SHARE: Final = 0.2
_MOST_WARM_UP_SECONDS: Final = 600.0
_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "storage": {"min_free_bytes": 0},
    # Abandoned uploads end and passes of the sweep come round many times within the run.
    "uploads": {"session_ttl_seconds": 60},
    # Full within the warm-up. As delivered it has 32 MiB and fills for hours, which looks like a leak that is none.
    "cache": {"small_blob_bytes": 1 << 20},
    "housekeeping": {"orphan_sweep_period_seconds": 60},
}
_BOUNDS: Final = (
    Bound("http.anonymous_bytes", 8 * _MIB, 200 * _MIB),
    Bound("http.rss_bytes", 8 * _MIB, 250 * _MIB),
    Bound("http.pss_bytes", 16 * _MIB, 250 * _MIB),  # depends on who else has the libraries' pages: wider
    Bound("background.anonymous_bytes", 4 * _MIB, 100 * _MIB),
    Bound("background.rss_bytes", 4 * _MIB, 130 * _MIB),
    Bound("ops.anonymous_bytes", 4 * _MIB, 100 * _MIB),
    Bound("ops.rss_bytes", 4 * _MIB, 130 * _MIB),
    Bound("parent.anonymous_bytes", 1 * _MIB, 60 * _MIB),
    Bound("http.descriptors", 3, 200),
    Bound("background.descriptors", 1, 60),
    Bound("ops.descriptors", 1, 100),
    Bound("parent.descriptors", 0, 60),
    Bound("wal_bytes", 32 * _MIB, 96 * _MIB),  # never shortened: it keeps the length of its worst moment
    Bound("registry_orphans", 1, 20),
    Bound("registry_journal_backlog", 60, 2000),
)
_MOST_LIVE_ROWS: Final = {
    # per client: three repositories, at most ten images of two blobs and eight tags in each, and what comes and goes
    "rows.links": 3 * (10 * 2 + 4),
    "rows.live_manifests": 3 * (10 + 3),
    "rows.tags": 3 * 8,
    "rows.upload_sessions": 60,
}
_KEPT_TABLES: Final = (
    "rows.links", "rows.manifests", "rows.manifest_references", "rows.blobs", "rows.tags", "rows.facts",
    "rows.tag_history", "rows.audit_records",
)  # fmt: skip
_RARE_OPERATIONS: Final = {
    "blob.mount", "tag.delete", "manifest.delete", "blob.delete", "upload.cancel",
    "large.append", "large.finish", "large.pull", "large.delete",
    "large.leave", "large.status", "large.cancel", "large.refused",
}  # fmt: skip
_MOST_BYTES_PER_ROW: Final = 1400
_MOST_GROWTH_PER_ROW: Final = 1.25


@pytest.fixture
def product(tmp_path: Path) -> Iterator[RunningEntrepot]:
    """A registry on SQLite and disk, with settings as delivered but for shorter times of housekeeping."""
    running = RunningEntrepot(tmp_path, settings=_SETTINGS)
    running.start()
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.end()


def test_ten_seconds_of_mixed_load_without_a_failed_request(
    product: RunningEntrepot, rotating_seed: int
) -> None:
    """The same load as the soak's, faster and shorter: what the clients know of the registry is what it says."""
    process = product.pid(Role.HTTP)
    before = len(open_files(process))
    run = _soak(product, seconds=10, rate=80, sample_every=2, seed=rotating_seed)

    assert run.failures == []
    assert run.log_errors == []
    assert run.requests > 100  # of 800 on a machine that has time for them
    assert _rows_too_many(run) == []
    operations = {operation for client in run.clients for operation, _ in client.record.latencies}
    assert operations >= _RARE_OPERATIONS
    assert run.read_by_threads > 0, f"{run.watched} large bodies were watched, and no thread read one"
    wait_for(
        lambda: len(open_files(process)) <= before + _KEPT_DESCRIPTORS,
        10,
        lambda: f"{before} descriptors, and after all clients have gone: {open_files(process)}",
    )


@pytest.mark.long
def test_an_hour_of_mixed_load_without_a_failed_request_and_without_growth_i12(
    product: RunningEntrepot, rotating_seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """SOAK_SECONDS (3600) and SOAK_RATE (20 requests per second) change the length and the pace."""
    seconds = float(os.environ.get("SOAK_SECONDS", "3600"))
    rate = float(os.environ.get("SOAK_RATE", "20"))
    long_run = LongRun(rotating_seed)
    run = _soak(product, seconds, rate, sample_every=10, seed=rotating_seed)

    warm_up = min(_MOST_WARM_UP_SECONDS, seconds * _WARM_UP_SHARE)
    verdicts = judge(run.sampler.samples, warm_up, _BOUNDS)
    faults = _faults(run, rate * seconds, warm_up, verdicts)
    findings = {"passed": not faults, "faults": faults, **findings_of(run, rate, warm_up, verdicts)}
    path = write_evidence("soak", findings, long_run, covers=_COVERS)
    with capsys.disabled():
        print(f"\n{path.read_text(encoding='utf-8')}")  # noqa: T201 - an hour's result is worth reading
    assert faults == []


def _faults(run: SoakRun, wanted: float, warm_up_seconds: float, verdicts: Sequence[Verdict]) -> list[str]:
    """Look at everything before anything is said, so that one fault doesn't hide the others from the evidence."""
    faults = [*run.failures, *run.log_errors]
    if run.requests <= 0.9 * wanted:
        faults.append(f"the stated rate was not kept: {run.requests} requests in place of {wanted:.0f}")
    if not run.read_by_threads:
        faults.append(f"{run.watched} large bodies were watched, and no thread read one")
    faults += [
        f"{verdict.name} grew by {verdict.growth:.0f} and reached {verdict.highest:.0f}"
        for verdict in verdicts
        if not verdict.holds
    ]
    return faults + _rows_too_many(run) + _database_too_large(run, warm_up_seconds)


def _soak(product: RunningEntrepot, seconds: float, rate: float, sample_every: float, seed: int) -> SoakRun:
    stop = threading.Event()
    threads = ReadingThreads(product.pid(Role.HTTP), product.port)
    clients = [
        SoakClient(number, product.port, rate / _CLIENTS, seed, stop, threads.read)
        for number in range(_CLIENTS)
    ]
    sampler = Sampler(product, rows_every=3)
    began_at = time.monotonic()
    for client in clients:
        client.start()
    try:
        while (left := began_at + seconds - time.monotonic()) > 0:
            sampler.take()
            time.sleep(min(sample_every, left))
            assert all(client.is_alive() for client in clients), "a client broke off"
        for client in clients:  # on a busy machine a short run may need longer
            assert client.has_done_everything.wait(60), "a client did not come round"
    finally:
        stop.set()
        for client in clients:
            client.join(60)
    errors = [str(line) for line in product.log_lines() if line.get("log.level") in {"error", "critical"}]
    return SoakRun(sampler, clients, time.monotonic() - began_at, errors[:20])


def _rows_too_many(run: SoakRun) -> list[str]:
    """The database holds links, manifests, tags and sessions of what the clients have, and no more of them."""
    counted = [sample for sample in run.sampler.samples if "rows.links" in sample]
    highest = {name: max(sample[name] for sample in counted) for name in _MOST_LIVE_ROWS}
    return [
        f"{name}: {highest[name]:.0f} in place of {most * _CLIENTS} at most"
        for name, most in _MOST_LIVE_ROWS.items()
        if highest[name] > most * _CLIENTS
    ]


def _database_too_large(run: SoakRun, warm_up_seconds: float) -> list[str]:
    """Facts, history and audit records are kept for long, so the file grows with them, but with nothing else."""
    per_row = [
        sample["database_bytes"] / sum(sample[name] for name in _KEPT_TABLES)
        for sample in run.sampler.samples
        if "rows.links" in sample and sample["seconds"] >= warm_up_seconds
    ]
    fits = max(per_row) <= _MOST_BYTES_PER_ROW and per_row[-1] <= per_row[0] * _MOST_GROWTH_PER_ROW
    return [] if fits else [f"bytes of the database per row: from {per_row[0]:.0f} to {per_row[-1]:.0f}"]
