"""Database and storage that are not of one age (F47): told at the start, nothing is written, and it is caught up."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest
import structlog.testing

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.bootstrap import Dispatcher, StoreProbes, build_background_worker, open_stores
from entrepot.metadata.errors import RebuildUnfinishedError
from entrepot.oci.digest import Digest
from entrepot.settings import metadata_path, storage_root
from entrepot.workers import upkeep
from tests.asgi.history import DELETED_TAG, live_through_everything, picture_of
from tests.asgi.lifespan import running_lifespan
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import LAYER, NAME, image, push_blobs, put
from tests.drivers.blobstore.staging import keys_of
from tests.integration.rebuilding import (
    compact,
    copy_database,
    database_of,
    lose_database,
    rebuild,
    restore_database,
)

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

_A, _B = image(annotations={"n": "A"}), image(annotations={"n": "B"})


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry into which A was pushed under two tags, whose database was copied then, and which lived on.

    B was pushed, and a tag was deleted, and the old copy was restored.
    """
    settings = scratch_settings(tmp_path / "data")
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "a", _A)
        await put(registry.client, DELETED_TAG, _A)
        await compact(registry.stores)
    copy_database(settings, tmp_path / "copy")
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client, "later")
        await put(registry.client, "b", _B)
        deleted = await registry.client.request("DELETE", f"/v2/{NAME}/manifests/a")
        assert deleted.status == 202
    shutil.copytree(settings.data.directory / "metadata", tmp_path / "newest")
    restore_database(settings, tmp_path / "copy")
    return settings


async def _status(registry: InProcessRegistry, tag: str, name: str = NAME) -> int:
    return (await registry.client.request("GET", f"/v2/{name}/manifests/{tag}")).status


async def test_f47_an_older_database_takes_no_writes_and_says_why(settings: Settings) -> None:
    """Pulls go on; pushes, uploads and deletes get 405 naming the command; readiness to write fails; a gauge says 1."""
    async with in_process_registry(settings) as registry:
        before = await picture_of(database_of(settings))
        assert await _status(registry, "a") == 200
        refused = [
            await put(registry.client, "a", _B),
            await registry.client.request("POST", f"/v2/{NAME}/blobs/uploads/"),
            await registry.client.request("DELETE", f"/v2/{NAME}/manifests/a"),
        ]
        for reply in refused:
            assert (reply.status, reply.error_code()) == (405, "UNSUPPORTED")
            assert "entrepot rebuild --catch-up" in reply.body.decode()
            assert "journal/" not in reply.body.decode()
        assert registry.services.metrics.database_mismatch._value.get() == 1
        assert await picture_of(database_of(settings)) == before
    probes = StoreProbes(settings)
    read, write = await probes.read_ready(), await probes.write_ready()
    await probes.aclose()
    assert read.ok
    assert not write.ok
    assert "has not seen yet: run entrepot rebuild --catch-up" in write.detail


async def test_f47_an_older_database_loses_nothing_by_catching_up(settings: Settings, tmp_path: Path) -> None:
    """What was pushed since is there, what was deleted since stays deleted, as if nothing had been restored."""
    code, report = await rebuild(settings, "--catch-up")

    caught_up = await picture_of(database_of(settings))
    restore_database(settings, tmp_path / "newest")
    newest = await picture_of(database_of(settings))
    assert code == 0, report
    assert {name for name in newest if name not in {"links", "facts", "blobs"}} == {
        name for name, rows in caught_up.items() if rows == newest[name]
    } - {"links", "facts", "blobs"}
    assert report["applied"] > 10


async def test_f47_bytes_that_lie_elsewhere_since_the_copy_are_found(settings: Settings) -> None:
    """A blob that was collected and pushed again has another key than the older database knows."""
    hexadecimal = Digest.of_bytes(LAYER).hex
    (file,) = (storage_root(settings) / "blobs").glob(f"sha256/*/{hexadecimal}/*")
    file.rename(file.with_name("f" * 32))

    code, report = await rebuild(settings, "--catch-up")

    assert code == 0, report
    async with in_process_registry(settings) as registry:
        pulled = await registry.client.request("GET", f"/v2/{NAME}/blobs/{Digest.of_bytes(LAYER)}")
        assert pulled.status == 200


async def test_f47_pushes_go_on_after_catching_up(settings: Settings) -> None:
    """The restored registry pulls A and B, has no deleted tag, takes a push, and numbers its facts on."""
    await rebuild(settings, "--catch-up")

    async with in_process_registry(settings) as registry:
        assert [await _status(registry, tag) for tag in ("b", "a", DELETED_TAG)] == [200, 404, 404]
        assert await _status(registry, str(Digest.of_bytes(_A))) == 200
        assert (await put(registry.client, "c", _B)).status == 201
        assert registry.services.metrics.database_mismatch._value.get() == 0
    code, report = await rebuild(settings, "--catch-up")
    assert (code, report["applied"]) == (0, 0)


async def test_a_fact_that_began_before_the_copy_and_ended_after_it_is_not_missed(settings: Settings) -> None:
    """A copy may hold a fact and lack one of a smaller number: its transaction was open at that moment."""
    await rebuild(settings, "--catch-up")
    await database_of(settings).fetch("DELETE FROM tags WHERE name = 'back'")
    await database_of(settings).fetch(
        "DELETE FROM outbox WHERE kind = 'manifest.put' AND CAST(payload AS TEXT) LIKE '%back%'"
    )

    code, report = await rebuild(settings, "--catch-up")

    assert (code, report["applied"]) == (0, 1)
    async with in_process_registry(settings) as registry:
        assert await _status(registry, "back") == 200


async def test_a_database_that_went_its_own_way_is_not_caught_up(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """Facts of its own under the journal's numbers: nothing is changed, and the first of them is named."""
    database = database_of(settings)
    await database.fetch(
        "INSERT INTO outbox (at, kind, repository, actor, payload, journalled) "
        "VALUES (1, 'tag.delete', 'team/app', 'a', x'7b7d', 1)"
    )
    before = await picture_of(database)

    code, _ = await rebuild(settings, "--catch-up")

    assert code == 1
    diverged = f"fact {before['facts'][-1][0]} of the database is another one"
    assert diverged in capfd.readouterr().err
    assert await picture_of(database) == before
    for options in (("--catch-up", "--dry-run"), ("--dry-run",)):
        code, report = await rebuild(settings, *options)
        assert (code, diverged in report["database"]["refusal"]) == (1, True)
    assert await picture_of(database) == before


async def test_dry_run_tells_how_far_an_older_database_is_behind(settings: Settings) -> None:
    """Whoever restored something can ask what it is, without changing it."""
    before = await picture_of(database_of(settings))

    code, report = await rebuild(settings, "--catch-up", "--dry-run")

    told = report["database"]
    assert (code, told["database_is_behind"], told["storage_is_behind"]) == (0, True, False)
    assert told["unseen_facts"] > 10
    assert await picture_of(database_of(settings)) == before


async def test_f47_an_older_storage_is_told_and_crashes_nothing(tmp_path: Path) -> None:
    """What it lacks can't be pulled, everything else can, and a dry run names the facts that it has not."""
    settings = scratch_settings(tmp_path / "data", cache__small_blob_bytes="0")
    layer = b"pushed after the copy"
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "a", _A)
        await compact(registry.stores)
        shutil.copytree(storage_root(settings), tmp_path / "copy")
        digest = Digest.of_bytes(layer)
        target = f"/v2/{NAME}/blobs/uploads/?digest={digest}"
        assert (await registry.client.request("POST", target, {}, [layer])).status == 201
        await put(registry.client, "b", _B)
        await compact(registry.stores)
    shutil.rmtree(storage_root(settings))
    shutil.copytree(tmp_path / "copy", storage_root(settings))

    async with in_process_registry(settings) as registry:
        assert await _status(registry, "a") == 200
        assert await _status(registry, "b") == 200  # manifests are in the database, too
        lost = await registry.client.request("GET", f"/v2/{NAME}/blobs/{digest}")
        assert lost.status >= 500
        code, report = await rebuild(settings, "--dry-run")

    told = report["database"]
    assert (code, told["storage_is_behind"], told["database_is_behind"]) == (1, True, False)
    assert told["journal_last"] < told["surely_written"] == told["database_last"]


async def test_a_new_database_on_an_old_storage_takes_no_writes(settings: Settings) -> None:
    """Whoever lost the database and starts all the same can't push over what could be rebuilt."""
    lose_database(settings)
    async with in_process_registry(settings) as registry:
        reply = await registry.client.request("POST", f"/v2/{NAME}/blobs/uploads/")

    assert reply.status == 405
    assert "run entrepot rebuild on an empty one" in reply.body.decode()


async def test_nothing_serves_from_a_database_that_a_rebuild_has_filled_in_part(settings: Settings) -> None:
    """HTTP process, background worker and readiness refuse it, and say what to run."""
    async with open_stores(settings) as stores:
        await stores.metadata.write(lambda tx: tx.replay.mark_unfinished('{"incarnations":["x"]}'))

    with pytest.raises(RebuildUnfinishedError, match="run entrepot rebuild again"):
        async with running_lifespan(Dispatcher(settings)):
            pytest.fail("it started")
    with pytest.raises(RebuildUnfinishedError):
        await build_background_worker(settings).run(_never())
    probes = StoreProbes(settings)
    ready = await probes.write_ready()
    await probes.aclose()
    assert (ready.ok, "run entrepot rebuild again" in ready.detail) == (False, True)


async def test_the_background_worker_leaves_a_foreign_journal_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an older database it neither compacts nor clears anything away; what is served and set is recorded."""
    monkeypatch.setattr(upkeep, "_ENTRY_GRACE_MILLISECONDS", 0)
    await database_of(settings).fetch("UPDATE outbox SET journalled_at = NULL")
    worker = build_background_worker(settings)
    duties = {duty.name: duty for duty in await worker._open_duties()}
    journal = duties.pop("journal")
    async with open_stores(settings) as stores:
        before = await keys_of(stores.blobs)
        for duty in duties.values():
            await duty.run()
        with pytest.raises(StorageUnavailableError, match="tells of what this database has not seen yet"):
            await journal.run()
        assert await keys_of(stores.blobs) == before
    await worker._close()

    assert {"orphans", "upload expiry", "scrub"} <= duties.keys()
    assert await database_of(settings).value("SELECT count(*) FROM sweeps WHERE name = 'orphans'") == 0
    assert await database_of(settings).value("SELECT count(*) FROM audit_records") > 0


async def test_f47_a_start_beside_a_log_that_was_put_aside_tells_of_it(settings: Settings) -> None:
    """It may be the only trace of what was acknowledged: the file that lies there starts without it."""
    path = metadata_path(settings)
    aside = path.with_name(f"{path.name}-wal.of-4096-1")
    aside.write_bytes(b"the newest units of another file")
    worker = build_background_worker(settings)

    with structlog.testing.capture_logs() as told:
        await worker._open_duties()
    await worker._close()

    said = [line for line in told if line["event"] == "metadata.log_aside"]
    assert [(line["file"], "put it back by mv or cp -p" in line["remedy"]) for line in said] == [
        (str(aside), True)
    ]


def _never() -> asyncio.Event:
    return asyncio.Event()
