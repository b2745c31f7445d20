"""Uploads that nobody goes on with are ended, and only those (I8, F44)."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec
import pytest
import structlog.testing
from prometheus_client import CollectorRegistry

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.bootstrap import build_background_worker
from entrepot.observability.metrics import build_metrics
from entrepot.registry.pushes.leases import LONGEST_LEASE_SECONDS
from entrepot.registry.pushes.staged_uploads import StagedUploads
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from entrepot.registry.sweeps.upload_expiry import UploadExpiry
from entrepot.settings import metadata_path, storage_root
from entrepot.settings.section import Setting
from entrepot.settings.tree import RegistrySettings, UploadSettings
from entrepot.workers.housekeeping import expiry_duty, orphan_duty
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.workers.worker import Duty

_UPLOADS = "/v2/team/app/blobs/uploads/"
_SWEPT = "SELECT 1 FROM sweeps WHERE name = 'orphans' AND due_at > 0"
_AGE_BY_AN_HOUR = "UPDATE upload_sessions SET expires_at = expires_at - 3600000"


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry that keeps uploads for an hour after their last bytes."""
    settings = scratch_settings(tmp_path / "data", uploads__session_ttl_seconds="3600")
    async with in_process_registry(settings) as registry:
        yield registry


async def _expiry(registry: InProcessRegistry) -> UploadExpiry:
    stores = registry.stores
    clock = await steady_clock(stores.metadata)
    return UploadExpiry(stores.metadata, StagedUploads(stores.metadata, stores.blobs), 3600, clock)


def _query(registry: InProcessRegistry, sql: str) -> list[Any]:
    with closing(sqlite3.connect(metadata_path(registry.settings), isolation_level=None)) as database:
        return database.execute(sql).fetchall()


def _staged(registry: InProcessRegistry) -> list[Path]:
    return [path for path in (storage_root(registry.settings) / "uploads").iterdir() if path.is_file()]


async def _begin(registry: InProcessRegistry, content: bytes = b"") -> str:
    location = (await registry.client.request("POST", _UPLOADS)).headers["location"]
    if content:
        assert (await registry.client.request("PATCH", location, {}, [content])).status == 202
    return location


async def test_f44_an_upload_past_its_time_is_removed_with_its_bytes(registry: InProcessRegistry) -> None:
    """The client that comes back too late gets a clean 404 (F44); one that is in time goes on."""
    late = await _begin(registry, b"late")
    _query(registry, _AGE_BY_AN_HOUR)
    early = await _begin(registry, b"early")
    prometheus = CollectorRegistry()

    await expiry_duty(await _expiry(registry), build_metrics(prometheus)).run()

    assert prometheus.get_sample_value("registry_uploads_expired_total") == 1
    assert len(_staged(registry)) == 1
    for method in ("GET", "PATCH", "DELETE"):
        reply = await registry.client.request(method, late)
        assert (reply.status, reply.error_code()) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert (await registry.client.request("GET", early)).headers["range"] == "0-4"


async def test_an_uploads_time_runs_from_its_last_bytes(registry: InProcessRegistry) -> None:
    """A push that takes longer than the time to live is not cut off as long as bytes arrive."""
    location = await _begin(registry)
    for number in range(3):
        _query(registry, "UPDATE upload_sessions SET expires_at = expires_at - 3000000")
        assert (await registry.client.request("PATCH", location, {}, [b"chunk"])).status == 202
        assert await (await _expiry(registry)).run() == 0, number

    assert (await registry.client.request("GET", location)).headers["range"] == "0-14"


async def test_f30_an_upload_that_somebody_holds_is_left_alone(registry: InProcessRegistry) -> None:
    """Past its time but leased: the request under way is let finish; a lease that ran out protects nothing."""
    await _begin(registry, b"held")
    _query(registry, _AGE_BY_AN_HOUR)
    _query(registry, "UPDATE upload_sessions SET lease_owner = 'x', lease_until = 4000000000000")
    assert await (await _expiry(registry)).run() == 0

    _query(registry, "UPDATE upload_sessions SET lease_until = 1")

    assert await (await _expiry(registry)).run() == 1
    assert _staged(registry) == []


async def test_i8_bytes_that_outlive_their_session_are_orphans(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store fails, or the worker dies, between row and bytes: the sweep of orphans finishes the work (I8)."""
    await _begin(registry, b"left behind")
    _query(registry, _AGE_BY_AN_HOUR)

    async def fail(*_: object) -> None:
        raise StorageUnavailableError("unplugged")

    with monkeypatch.context() as broken:
        broken.setattr(type(registry.stores.blobs), "discard", fail)
        assert await (await _expiry(registry)).run() == 1
    assert len(_staged(registry)) == 1
    prometheus = CollectorRegistry()
    duty = await _sweep_duty(registry, prometheus)
    await duty.run()
    assert prometheus.get_sample_value("registry_orphans") == 1
    assert prometheus.get_sample_value("registry_orphan_bytes") == len(b"left behind")

    await duty.run()

    assert _staged(registry) == []
    assert prometheus.get_sample_value("registry_orphans") == 0
    assert prometheus.get_sample_value("registry_orphans_found_total") == 1
    assert prometheus.get_sample_value("registry_orphans_removed_total") == 1
    assert prometheus.get_sample_value("registry_orphans_removed_bytes_total") == len(b"left behind")


async def _sweep_duty(registry: InProcessRegistry, prometheus: CollectorRegistry) -> Duty:
    stores = registry.stores
    sweep = OrphanSweep(
        stores.metadata, stores.blobs, SweepOptions(0, 0), await steady_clock(stores.metadata)
    )
    return orphan_duty(sweep, stores.metadata, build_metrics(prometheus))


async def test_many_expired_uploads_go_in_batches(registry: InProcessRegistry) -> None:
    """More than one batch in one run."""
    await _begin(registry)
    _query(
        registry,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO upload_sessions "
        "(public_id, repository_id, creator, algorithm, created_at, updated_at, expires_at) "
        "SELECT 's' || i, 1, 'a', 'sha256', 1, 1, 1 FROM n",
    )

    assert await (await _expiry(registry)).run() == 500
    assert _query(registry, "SELECT count(*) FROM upload_sessions") == [(1,)]


async def test_the_background_worker_does_both(registry: InProcessRegistry) -> None:
    """The worker of the product ends expired uploads and sweeps, from its start on, and stops when it is told to."""
    await _begin(registry, b"late")
    _query(registry, _AGE_BY_AN_HOUR)
    stop = asyncio.Event()
    working = asyncio.create_task(build_background_worker(registry.settings).run(stop))

    async with asyncio.timeout(60):
        while _staged(registry) or not _query(registry, _SWEPT):  # noqa: ASYNC110  # rows set no event
            await asyncio.sleep(0.05)
        stop.set()
        await working

    assert _query(registry, "SELECT lease_until FROM sweeps WHERE name = 'orphans'") == [(None,)]


async def test_a_read_only_registry_clears_nothing_away(registry: InProcessRegistry) -> None:
    """What is there when the registry is closed to writes is there when it is opened again."""
    await _begin(registry, b"late")
    _query(registry, _AGE_BY_AN_HOUR)
    closed = msgspec.structs.replace(registry.settings, registry=RegistrySettings(read_only=True))
    stop = asyncio.Event()
    working = asyncio.create_task(build_background_worker(closed).run(stop))

    await asyncio.sleep(0.5)
    stop.set()
    await working

    assert len(_staged(registry)) == 1
    assert _query(registry, "SELECT * FROM sweeps WHERE name = 'orphans'") == []


async def test_uploads_of_years_to_come_end_when_others_do_f27(registry: InProcessRegistry) -> None:
    """One that goes on lives on; one that nobody goes on with is removed when its life is over."""
    await _begin(registry, b"left behind")
    _query(registry, "UPDATE upload_sessions SET expires_at = expires_at + 441504000000, lease_owner = 'n/1'")
    _query(registry, "UPDATE upload_sessions SET lease_until = expires_at")
    expiry = await _expiry(registry)

    with structlog.testing.capture_logs() as told:
        assert await expiry.run() == 0
        assert await expiry.run() == 0

    assert [(line["event"], line["what"]) for line in told if line["event"] == "time.ahead"] == [
        ("time.ahead", "lease of an upload"),
        ("time.ahead", "end of an unfinished upload"),
    ]
    _query(registry, f"UPDATE upload_sessions SET expires_at = expires_at - {7 * 86_400_000}")
    assert await expiry.run() == 0
    _query(registry, "UPDATE upload_sessions SET lease_until = lease_until - 3600000")
    assert await expiry.run() == 1
    assert _staged(registry) == []


def test_no_setting_makes_a_lease_longer_than_the_longest_f27() -> None:
    """Or a holder that lives could lose it before its renewal."""
    hint = get_type_hints(UploadSettings, include_extras=True)["lease_seconds"]
    (setting,) = [one for one in hint.__metadata__ if isinstance(one, Setting)]

    assert setting.maximum == LONGEST_LEASE_SECONDS
