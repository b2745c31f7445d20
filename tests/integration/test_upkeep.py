"""The background duties on the real embedded stores."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog.testing
from prometheus_client import CollectorRegistry

from entrepot.observability.metrics import build_metrics
from entrepot.rebuild.position import find_position
from entrepot.registry.journal.writer import Journal
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.registry.sweeps.steady_clock import SteadyClock
from entrepot.settings import metadata_path, metadata_url, storage_root
from entrepot.workers import upkeep
from entrepot.workers.backup_age import backup_age_duty
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.drivers.metadata.material import fact
from tests.drivers.metadata.raw_database import RawDatabase
from tests.faults.image import one_layer_image
from tests.faults.pushing import AcknowledgementLog, push_image
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.workers.worker import Duty


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry with one image."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        await push_image(registry.client, one_layer_image(1), AcknowledgementLog.open(tmp_path / "log"))
        yield registry


async def _journal_duty(registry: InProcessRegistry, clock: SteadyClock) -> Duty:
    metadata, blobs = registry.stores.metadata, registry.stores.blobs
    journal = Journal(blobs, await metadata.instance.incarnation())
    return upkeep.journal_duty(metadata, journal, clock, StoreWatch(metadata, blobs))


def _journal_files(registry: InProcessRegistry) -> dict[str, list[Path]]:
    root = storage_root(registry.settings) / "journal"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {kind: [path for path in files if path.parent.name == kind] for kind in ("entries", "segments")}


async def test_journal_facts_end_up_in_one_segment(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fact stands in a segment once, in order; entries are gone, and a second run does nothing."""
    monkeypatch.setattr(upkeep, "_ENTRY_GRACE_MILLISECONDS", 0)
    duty = await _journal_duty(registry, SteadyClock())
    assert len(_journal_files(registry)["entries"]) == 1

    await duty.run()
    await duty.run()

    files = _journal_files(registry)
    assert (files["entries"], len(files["segments"])) == ([], 1)
    lines = [msgspec.json.decode(line) for line in files["segments"][0].read_bytes().splitlines()]
    assert [line["kind"] for line in lines] == ["blob.linked", "blob.linked", "manifest.put"]
    assert [line["sequence"] for line in lines] == sorted(line["sequence"] for line in lines)
    assert all(line["at_milliseconds"] > 0 for line in lines)


async def test_an_entry_that_is_being_written_is_left_alone(registry: InProcessRegistry) -> None:
    """Facts younger than the grace period wait, since their request may still be writing the entry."""
    await (await _journal_duty(registry, SteadyClock())).run()

    assert len(_journal_files(registry)["entries"]) == 1


async def test_a_fact_without_an_entry_is_journalled_all_the_same(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that died between its commit and its entry loses nothing (F1)."""
    monkeypatch.setattr(upkeep, "_ENTRY_GRACE_MILLISECONDS", 0)
    for entry in _journal_files(registry)["entries"]:
        entry.unlink()

    await (await _journal_duty(registry, SteadyClock())).run()

    (segment,) = _journal_files(registry)["segments"]
    assert b'"manifest.put"' in segment.read_bytes()


async def test_gauges_tell_the_truth(registry: InProcessRegistry) -> None:
    """Used and total bytes are the file system's, and the backlog counts facts without a segment."""
    prometheus = CollectorRegistry()
    metrics = build_metrics(prometheus)
    await upkeep.gauge_duty(registry.stores.metadata, registry.stores.blobs, metrics, SteadyClock()).run()

    used = prometheus.get_sample_value("registry_storage_used_bytes")
    total = prometheus.get_sample_value("registry_storage_capacity_bytes")
    assert used is not None
    assert total is not None
    assert 0 < used <= total
    assert prometheus.get_sample_value("registry_journal_backlog") == 3


async def test_the_gauge_of_clocks_tells_how_far_the_database_is_ahead_f25_f27(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    prometheus = CollectorRegistry()
    metadata, blobs = registry.stores.metadata, registry.stores.blobs
    duty = upkeep.gauge_duty(metadata, blobs, build_metrics(prometheus), SteadyClock())

    this_machine = time.time_ns  # noqa: TID251 - the clock that is measured
    for behind in (0.0, 180.0, -90.0):
        monkeypatch.setattr(time, "time_ns", lambda behind=behind: this_machine() - int(behind * 1e9))
        await duty.run()
        assert prometheus.get_sample_value("registry_clock_skew_seconds") == pytest.approx(behind, abs=1.0)


async def test_the_checkpoint_empties_the_log_into_the_database(
    registry: InProcessRegistry, tmp_path: Path
) -> None:
    """After the duty the database file alone has everything, and the gauge shows the log's size."""
    prometheus = CollectorRegistry()
    assert _manifests_without_log(registry, tmp_path / "before.db") == 0
    await upkeep.checkpoint_duty(registry.stores.metadata, build_metrics(prometheus)).run()

    assert _manifests_without_log(registry, tmp_path / "after.db") == 1
    assert prometheus.get_sample_value("registry_sqlite_wal_bytes") is not None


def _manifests_without_log(registry: InProcessRegistry, copy: Path) -> int:
    """Count the manifests in the database file as it is without its write-ahead log."""
    copy.write_bytes(metadata_path(registry.settings).read_bytes())
    with contextlib.closing(sqlite3.connect(copy)) as database:
        return int(database.execute("SELECT count(*) FROM manifests").fetchone()[0])


async def test_the_age_of_the_last_backup_is_shown(registry: InProcessRegistry) -> None:
    """Zero when there never was one, so that an alarm on its age rings; then the time it was completed at."""
    gathered = CollectorRegistry()
    duty = backup_age_duty(registry.stores.metadata, build_metrics(gathered))

    await duty.run()
    assert gathered.get_sample_value("registry_backup_last_completed_timestamp_seconds") == 0

    await registry.stores.metadata.write(lambda tx: tx.backups.record_completed("snapshot"))
    await duty.run()
    shown = gathered.get_sample_value("registry_backup_last_completed_timestamp_seconds")
    completed = await registry.stores.metadata.backups.last_completed()
    assert completed is not None
    assert shown == completed.at_milliseconds / 1000


async def test_a_backup_of_years_to_come_keeps_no_alarm_silent_f27(registry: InProcessRegistry) -> None:
    """Nobody knows how old it is, so it is as old as can be, until another is completed."""
    gathered = CollectorRegistry()
    metadata = registry.stores.metadata
    duty = backup_age_duty(metadata, build_metrics(gathered))
    await metadata.write(lambda tx: tx.backups.record_completed("snapshot"))
    await _database(registry).fetch("UPDATE sweeps SET due_at = due_at + 86400000 WHERE name = 'backup'")

    await duty.run()
    assert gathered.get_sample_value("registry_backup_last_completed_timestamp_seconds") == 1

    await metadata.write(lambda tx: tx.backups.record_completed("another"))
    await duty.run()
    assert (gathered.get_sample_value("registry_backup_last_completed_timestamp_seconds") or 0) > 1.7e9


async def test_facts_of_years_to_come_reach_the_journal_in_time_and_in_order_f27(
    registry: InProcessRegistry,
) -> None:
    """Not before their requests had time to write their entries; then all of them, in one segment."""
    metadata, database = registry.stores.metadata, _database(registry)
    duty = await _journal_duty(registry, await steady_clock(metadata))
    (first,) = await database.fetch("SELECT min(id) FROM outbox")
    await database.fetch(f"UPDATE outbox SET at = at + 441504000000 WHERE id = {first[0]}")

    with structlog.testing.capture_logs() as told:
        await duty.run()
        await duty.run()

    assert [(line["event"], line["what"]) for line in told] == [("time.ahead", "1 facts for the journal")]
    assert _journal_files(registry)["segments"] == []
    assert len(_journal_files(registry)["entries"]) == 1
    position = await find_position(metadata, registry.stores.blobs)
    assert (position.storage_is_behind, position.database_is_behind, position.waiting) == (False, False, 3)

    await database.fetch("UPDATE outbox SET at = at - 5000")
    await duty.run()

    (segment,) = _journal_files(registry)["segments"]
    lines = [msgspec.json.decode(line) for line in segment.read_bytes().splitlines()]
    assert [line["kind"] for line in lines] == ["blob.linked", "blob.linked", "manifest.put"]
    now = await metadata.diagnosis.clock_milliseconds()
    assert all(line["at_milliseconds"] <= now for line in lines)
    assert (await find_position(metadata, registry.stores.blobs)).waiting == 0


async def test_facts_that_wait_ahead_make_no_storage_older_f27(registry: InProcessRegistry) -> None:
    """What has no segment yet is not missing from the journal, whatever its time says."""
    metadata = registry.stores.metadata
    last = await metadata.write(lambda tx: tx.outbox.append(fact("blob.linked")))
    await _database(registry).fetch("UPDATE outbox SET at = at + 441504000000")

    position = await find_position(metadata, registry.stores.blobs)

    assert position.journal_last < position.database_last == last
    assert not position.storage_is_behind
    assert position.waiting == 4


def _database(registry: InProcessRegistry) -> RawDatabase:
    return RawDatabase(metadata_url(registry.settings))
