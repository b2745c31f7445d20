"""The sweep of orphans (I8): what crashes leave in the store goes, what anybody needs or will need stays."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pytest
import structlog.testing

from entrepot.blobstore.driver import MultipartUploads
from entrepot.blobstore.keys import JOURNAL, journal_entry_key, journal_segment_key, manifest_key
from entrepot.blobstore.s3 import S3Options
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.records import NewUploadSession
from entrepot.metadata.sql.opening import open_metadata
from entrepot.oci.digest import Digest
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions, SweepReport
from entrepot.settings import metadata_url
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.drivers.blobstore.opening import StoreAddress, open_store
from tests.drivers.blobstore.staging import MIB, continued, data_of, keys_of, new_upload, push, stage
from tests.drivers.metadata.raw_database import RawDatabase
from tests.faults.image import TAG, one_layer_image
from tests.faults.pushing import AcknowledgementLog, push_image
from tests.running.laid_schema import lay_schema
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.blobstore.driver import BlobStore, UploadReference
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.s3_server import S3Server

_AT_ONCE: Final = SweepOptions(grace_seconds=0, period_seconds=0, page_keys=3, page_pause_seconds=0)
_PART: Final = 5 * MIB


@dataclass(frozen=True, slots=True)
class Swept:
    """A database and a store, and the sweep between them."""

    metadata: Metadata
    store: BlobStore
    database: RawDatabase

    async def sweep(self, options: SweepOptions = _AT_ONCE) -> SweepReport:
        """Do one run."""
        clock = await steady_clock(self.metadata)
        return await OrphanSweep(self.metadata, self.store, options, clock).run()

    async def begin_session(self, upload: UploadReference) -> None:
        """Make the row that an upload has while it is under way."""

        async def unit(tx: Transaction) -> None:
            repository = await tx.repositories.ensure("team/app", "team", "anonymous")
            await tx.upload_sessions.create(
                NewUploadSession(upload.upload_id, repository.id, "anonymous", "sha256", 3600)
            )

        await self.metadata.write(unit)


@pytest.fixture(params=["memory", "filesystem", "s3"])
async def swept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Swept]:
    """Empty ones, on each driver."""
    address = StoreAddress(root=str(tmp_path / "store") if request.param == "filesystem" else "")
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        options = S3Options(
            bucket=server.bucket,
            endpoint_url=server.endpoint_url,
            access_key_id=server.access_key_id,
            secret_access_key=server.secret_access_key,
            prefix=f"{secrets.token_hex(4)}/",
            part_bytes=_PART,
        )
        address = StoreAddress(s3=options)
    url = f"sqlite://{tmp_path}/metadata.db"
    lay_schema(tmp_path / "metadata.db")
    metadata, store = await open_metadata(url, 4, 5.0), await open_store(address)
    yield Swept(metadata, store, RawDatabase(url))
    await metadata.aclose()
    await store.aclose()


async def _leave_orphans(store: BlobStore) -> int:
    """Leave what a process can leave that dies at the wrong moment; return how many things a sweep should find."""
    await stage(store, new_upload(), b"few bytes")
    await push(store, [b"published, never committed"])
    await push(store, [data_of(_PART + 1)])
    await store.put(manifest_key(Digest.of_bytes(b"{}"), new_public_id()), b"{}")
    await stage(store, continued(await stage(store, new_upload(), data_of(_PART + 7))), b"more")
    if not isinstance(store, MultipartUploads):
        return 5
    return (
        1 + 2 + 2 + 1 + 3
    )  # a tail; two blobs with their markers; a manifest; a tail, the one before it, and parts


async def _open_multiparts(store: BlobStore) -> list[str]:
    return [found async for found in store.list_unfinished()] if isinstance(store, MultipartUploads) else []


async def test_i8_what_crashes_leave_is_removed(swept: Swept) -> None:
    """Staged bytes, parts, blobs, markers and manifest bytes without a row: found by one pass, removed by the next."""
    orphans = await _leave_orphans(swept.store)

    first, second, third = await swept.sweep(), await swept.sweep(), await swept.sweep()

    assert (first.found, first.removed, first.finished) == (orphans, 0, True)
    # On S3 a blob takes its marker along, which the same pass then finds gone.
    assert second.found == 0
    assert second.removed + third.removed <= orphans
    assert await keys_of(swept.store) == []
    assert await _open_multiparts(swept.store) == []
    assert await swept.metadata.orphans.count() == (0, 0)


async def test_i8_uploads_under_way_are_left_alone(swept: Swept) -> None:
    """As long as the session's row stands, nothing of it is an orphan, however many passes come by."""
    small, large, published = new_upload(), new_upload(), new_upload()
    for upload in (small, large, published):
        await swept.begin_session(upload)
    after_small = await stage(swept.store, small, b"few bytes")
    after_large = await stage(swept.store, large, data_of(_PART + 7))
    await push(swept.store, [b"about to be committed"], published)
    before = await keys_of(swept.store), await _open_multiparts(swept.store)

    reports = [await swept.sweep() for _ in range(3)]

    assert [(report.found, report.removed, report.finished) for report in reports] == [(0, 0, True)] * 3
    assert (await keys_of(swept.store), await _open_multiparts(swept.store)) == before
    for upload in (after_small, after_large):
        writer = await swept.store.open_writer(continued(upload))
        assert writer.offset == upload.offset
        await writer.close()


async def test_the_grace_period_runs_by_the_clock_of_the_database(swept: Swept) -> None:
    """What was seen first stays until the grace period is over, and not a pass longer."""
    await push(swept.store, [b"published, never committed"])
    before = await keys_of(swept.store)
    patient = replace(_AT_ONCE, grace_seconds=3600)
    assert [(await swept.sweep(patient)).removed for _ in range(3)] == [0, 0, 0]
    assert await keys_of(swept.store) == before

    await swept.database.fetch("UPDATE orphans SET seen_at = seen_at - 3600000")
    await swept.sweep(patient)

    assert await keys_of(swept.store) == []


async def test_a_candidate_that_gets_a_row_is_forgotten(swept: Swept) -> None:
    """A manifest's bytes come before its row: a pass in between remembers them, and the next one sees its error."""
    digest = Digest.of_bytes(b"{}")
    key = manifest_key(digest, new_public_id())
    await swept.store.put(key, b"{}")
    assert (await swept.sweep()).found == 1
    await swept.database.fetch(
        f"INSERT INTO manifest_bodies (digest, size_bytes, body, storage_key) VALUES ('{digest}', 2, x'7b7d', '{key}')"
    )

    assert (await swept.sweep()).removed == 0
    assert await keys_of(swept.store) == [key]
    assert await swept.metadata.orphans.count() == (0, 0)


async def test_f47_the_storage_of_another_database_is_left_alone(swept: Swept) -> None:
    """A database made anew over old storage knows nothing of it; its sweep refuses until people have decided."""
    await push(swept.store, [b"an old blob"])
    own = await swept.metadata.instance.incarnation()
    await swept.store.put(journal_entry_key(own, 0), b"{}")
    for foreign in ("0" * 32, "f" * 32):
        key = journal_entry_key(foreign, 1)
        await swept.store.put(key, b"{}")

        assert [(await swept.sweep()).refused for _ in range(2)] == [
            f"{JOURNAL}{foreign}/ was written for another database"
        ] * 2
        await swept.store.delete(key)

    assert (await swept.sweep()).refused == ""


async def test_a_journal_that_a_rebuild_took_over_is_not_foreign(swept: Swept) -> None:
    """Up to the number that went into the database, that is; a younger fact in it is nobody's again."""
    foreign = "0" * 32
    await swept.store.put(journal_entry_key(foreign, 7), b"{}")
    await swept.metadata.write(lambda tx: tx.replay.settle(foreign, 7))
    assert (await swept.sweep()).refused == ""

    await swept.store.put(journal_segment_key(foreign, 5, 8), b"{}")

    assert "another database" in (await swept.sweep()).refused


@pytest.mark.parametrize("kind", ["entry", "segment"])
async def test_f47_a_database_older_than_its_storage_removes_nothing(swept: Swept, kind: str) -> None:
    """After an old copy of the database was restored, the journal in the store is ahead of it."""
    own = await swept.metadata.instance.incarnation()
    key = journal_entry_key(own, 7) if kind == "entry" else journal_segment_key(own, 1, 7)
    await push(swept.store, [b"pushed after the copy was made"])
    await swept.store.put(key, b"{}")

    assert (await swept.sweep()).refused.startswith(key)

    await swept.database.fetch(
        "INSERT INTO outbox (id, at, kind, repository, actor, payload, journalled) VALUES (7, 1, 'k', 'r', 'a', x'', 1)"
    )
    assert (await swept.sweep()).refused == ""
    assert key.startswith(JOURNAL)
    assert key in await keys_of(swept.store)


async def test_a_pass_goes_on_where_the_last_run_ended(swept: Swept) -> None:
    """Ten blobs at four keys a run: several runs make one pass, and each key is looked at once."""
    for number in range(10):
        await push(swept.store, [b"%d" % number])
    options = replace(_AT_ONCE, run_keys=4, page_keys=2)
    total = len(await keys_of(swept.store))

    reports = [await swept.sweep(options)]
    while not reports[-1].finished:
        reports.append(await swept.sweep(options))

    assert len(reports) > 2
    assert sum(report.keys for report in reports) == total
    assert await swept.metadata.orphans.count() == (total, sum([len(str(number)) for number in range(10)]))


async def test_a_pass_is_one_nodes_work_and_has_its_period(swept: Swept) -> None:
    """Two at once: one does it. Before the period is over, nobody does."""
    options = replace(_AT_ONCE, period_seconds=3600, page_pause_seconds=0.05)
    for number in range(10):
        await push(swept.store, [b"%d" % number])

    reports = await asyncio.gather(*(swept.sweep(options) for _ in range(3)))

    assert sorted(report.finished for report in reports) == [False, False, True]
    assert (await swept.sweep(options)).keys == 0


async def test_f30_staged_bytes_that_somebody_holds_are_kept(tmp_path: Path) -> None:
    """A process paused for days may still hold the file of a session that is gone: it is left until it lets go."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        metadata, store = registry.stores.metadata, registry.stores.blobs
        writer = await store.open_writer(new_upload())
        await writer.write([b"held"])
        sweep = OrphanSweep(metadata, store, _AT_ONCE, await steady_clock(metadata))
        assert [(await sweep.run()).removed for _ in range(3)] == [0, 0, 0]

        await writer.close()

        assert (await sweep.run()).removed == 1


async def test_i2_what_was_pushed_stays(tmp_path: Path) -> None:
    """Beside orphans of every kind, an image that was pushed is pulled whole after the sweep (I2)."""
    image = one_layer_image(1)
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        await push_image(registry.client, image, AcknowledgementLog.open(tmp_path / "log"))
        before = await keys_of(registry.stores.blobs)
        orphans = await _leave_orphans(registry.stores.blobs)
        metadata, blobs = registry.stores.metadata, registry.stores.blobs
        sweep = OrphanSweep(metadata, blobs, _AT_ONCE, await steady_clock(metadata))

        assert (await sweep.run()).found == orphans
        assert (await sweep.run()).removed == orphans

        assert await keys_of(registry.stores.blobs) == before
        assert await _pulled(registry, f"manifests/{TAG}", image.repository) == image.manifest
        for blob in image.blobs:
            assert await _pulled(registry, f"blobs/{Digest.of_bytes(blob)}", image.repository) == blob


async def _pulled(registry: InProcessRegistry, path: str, repository: str) -> bytes:
    reply = await registry.client.request("GET", f"/v2/{repository}/{path}")
    assert reply.status == 200
    return reply.body


async def test_a_clock_that_was_ahead_keeps_neither_sweep_nor_orphan_f27(tmp_path: Path) -> None:
    """The turn comes at once, and an orphan seen in years to come has one grace period from then on, not years."""
    options = SweepOptions(grace_seconds=3600, period_seconds=60, page_pause_seconds=0)
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        store, database = registry.stores.blobs, RawDatabase(metadata_url(registry.settings))
        await store.put("uploads/nobodys", b"bytes")
        clock = await steady_clock(registry.stores.metadata)
        sweep = OrphanSweep(registry.stores.metadata, store, options, clock)
        assert (await sweep.run()).found == 1
        await database.fetch("UPDATE orphans SET seen_at = seen_at + 441504000000")
        await database.fetch("UPDATE sweeps SET due_at = due_at + 441504000000")

        with structlog.testing.capture_logs() as told:
            report = await sweep.run()

        assert (report.finished, report.found, report.removed) == (True, 0, 0)
        assert [line["what"] for line in told] == ["next turn of orphans", "1 orphans"]
        assert not (await sweep.run()).finished
        await database.fetch("UPDATE sweeps SET due_at = 0")
        assert (await sweep.run()).removed == 0
        await database.fetch("UPDATE sweeps SET due_at = 0")
        await database.fetch("UPDATE orphans SET seen_at = seen_at - 3600000")
        assert (await sweep.run()).removed == 1
