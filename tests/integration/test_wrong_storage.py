"""A storage that lacks what its database has journalled (F47): a wrong prefix, no volume mounted, an old copy."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import structlog.testing

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.blobstore.keys import JOURNAL, journal_entry_key
from entrepot.bootstrap import StoreProbes, build_background_worker, open_blob_store, open_stores
from entrepot.lifecycle.errors import MassDamageError
from entrepot.lifecycle.scrub.options import ScrubGround
from entrepot.oci.digest import Digest
from entrepot.ops.checks.storage_match import check_storage_match
from entrepot.ops.command_stores import open_command_services
from entrepot.ops.errors import CommandError
from entrepot.registry.hashing import HashingPool
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from entrepot.settings import storage_root
from entrepot.workers import upkeep
from tests.asgi.history import picture_of
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import LAYER, NAME, image, push_blob, push_blobs, put
from tests.drivers.blobstore.staging import keys_of
from tests.integration.rebuilding import compact, database_of, lose_database, rebuild
from tests.integration.scrubbing import REPAIR, verify_stores
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.bootstrap import Stores
    from entrepot.bootstrap.probes import ProbeResult
    from entrepot.lifecycle.scrub.options import ScrubOptions
    from entrepot.settings import Settings
    from tests.drivers.s3_server import S3Server

_A, _B = image(annotations={"n": "A"}), image(annotations={"n": "B"})
_LAYER = f"/v2/{NAME}/blobs/{Digest.of_bytes(LAYER)}"
_FORCED = replace(REPAIR, force=True)
_ON_DISK = pytest.mark.parametrize("pair", ["filesystem"], indirect=True)
"""What is the same with either store, once it is told that something is missing."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Settings of one database, with the storage that it wrote to and with another that holds nothing yet."""

    right: Settings
    wrong: Settings


@pytest.fixture(params=["filesystem", "s3"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """A registry into which A was pushed and whose journal was written."""
    pair = Pair(*(_settings(request, tmp_path, where) for where in ("right", "wrong")))
    async with in_process_registry(pair.right) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "a", _A)
        await compact(registry.stores)
    async with open_blob_store(pair.wrong):  # which makes its directories
        return pair


def _settings(request: pytest.FixtureRequest, tmp_path: Path, where: str) -> Settings:
    flags: dict[str, str | bool] = {"storage__root": str(tmp_path / where), "cache__small_blob_bytes": "0"}
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        flags = {
            "storage__driver": "s3",
            "storage__s3__endpoint": server.endpoint_url,
            "storage__s3__bucket": server.bucket,
            "storage__s3__prefix": f"wrong-storage/{tmp_path.name}/{where}/",
            "storage__s3__access_key": server.access_key_id,
            "storage__s3__secret_key": server.secret_access_key,
            "cache__small_blob_bytes": "0",
        }
    return scratch_settings(tmp_path / "data", **flags)


async def _verify(stores: Stores, options: ScrubOptions) -> None:
    with ThreadPoolExecutor(2) as executor:
        await verify_stores(ScrubGround(stores.metadata, stores.blobs, HashingPool(executor)), options)


async def _changes(registry: InProcessRegistry) -> list[Any]:
    """Try to change the registry in three ways, and return the replies."""
    return [
        await put(registry.client, "a", _B),
        await registry.client.request("POST", f"/v2/{NAME}/blobs/uploads/"),
        await registry.client.request("DELETE", f"/v2/{NAME}/manifests/a"),
    ]


async def _require_fit(settings: Settings) -> None:
    """Make sure that a start finds nothing wrong, and that a push goes through."""
    async with in_process_registry(settings) as registry:
        assert registry.services.metrics.database_mismatch._value.get() == 0
        await push_blobs(registry.client)
        assert (await put(registry.client, "again", _A)).status == 201
        await compact(registry.stores)


async def _copy_journal(source: Settings, target: Settings, wanted: str = "") -> None:
    """Copy what a journal's keys with `wanted` in them hold."""
    async with in_process_registry(source) as first, in_process_registry(target) as second:
        for key in await keys_of(first.stores.blobs, JOURNAL):
            if wanted in key:
                content = b"".join([chunk async for chunk in first.stores.blobs.read(key)])
                await second.stores.blobs.put(key, content)


async def test_f47_no_segment_is_written_into_a_storage_that_became_a_wrong_one(pair: Pair) -> None:
    """As where a volume is unmounted under a running node: the right one would lack it, and be refused afterwards."""
    async with in_process_registry(pair.right) as registry:
        assert (await put(registry.client, "b", _A)).status == 201
    async with open_stores(pair.wrong) as stores:
        with pytest.raises(StorageUnavailableError, match="waits for the right storage"):
            await compact(stores)
        assert [key async for key in stores.blobs.list_objects(JOURNAL)] == []
    assert await database_of(pair.right).value("SELECT count(*) FROM outbox WHERE journalled_at IS NULL") > 0

    await _require_fit(pair.right)


async def test_f47_a_storage_without_what_was_journalled_takes_no_writes(pair: Pair) -> None:
    """Pushes and deletes get 405 that says why, the gauge is 1, nothing changes; the right storage is as before."""
    before = await picture_of(database_of(pair.right))
    async with in_process_registry(pair.wrong) as registry:
        assert (await registry.client.request("GET", f"/v2/{NAME}/manifests/a")).status == 200
        for reply in await _changes(registry):
            assert (reply.status, reply.error_code()) == (405, "UNSUPPORTED")
            assert "its storage lacks what its database has written there" in reply.body.decode()
            assert "entrepot verify --repair --force" in reply.body.decode()
            assert JOURNAL not in reply.body.decode()
        assert registry.services.metrics.database_mismatch._value.get() == 1
        assert await keys_of(registry.stores.blobs) == []
    assert await picture_of(database_of(pair.right)) == before
    async with in_process_registry(pair.right) as registry:
        assert (await registry.client.request("GET", _LAYER)).body == LAYER
    await _require_fit(pair.right)


async def test_f47_readiness_worker_and_doctor_tell_of_a_wrong_storage(pair: Pair) -> None:
    """Ready for nothing; the worker does nothing to the storage; `doctor` fails and says what to do."""
    probes = StoreProbes(pair.wrong)
    read, write = await probes.read_ready(), await probes.write_ready()
    await probes.aclose()
    worker = build_background_worker(pair.wrong)
    for duty in await worker._open_duties():
        with contextlib.suppress(StorageUnavailableError):  # how full a directory is that is not there
            await duty.run()
    async with open_stores(pair.wrong) as stores:
        assert await keys_of(stores.blobs) == []
    await worker._close()
    found = await asyncio.to_thread(check_storage_match, pair.wrong)

    assert (read.ok, write.ok) == (False, False)
    assert "lacks fact 1, the first that this database has written there" in read.detail
    assert "put the right one in place" in read.detail
    assert "is missing, which this database has written: put the right storage in place" in write.detail
    assert found.status == "fail"
    assert "is the volume mounted" in found.remedy
    assert "entrepot verify --repair --force" in found.remedy
    assert (await asyncio.to_thread(check_storage_match, pair.right)).status == "ok"


@_ON_DISK
async def test_f47_a_node_that_began_on_a_wrong_storage_goes_on_once_the_right_one_is_there(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a volume is mounted after the start: pushes are taken, and the worker writes the journal again."""
    monkeypatch.setattr(upkeep, "_ENTRY_GRACE_MILLISECONDS", 0)
    root, database = storage_root(pair.right), database_of(pair.right)
    async with in_process_registry(pair.right) as registry:
        assert (await put(registry.client, "waits", _A)).status == 201
    away = root.rename(root.with_name("away"))
    root.mkdir()
    worker = build_background_worker(pair.right)
    with structlog.testing.capture_logs() as told:
        (journal,) = [duty for duty in await worker._open_duties() if duty.name == "journal"]
    async with in_process_registry(pair.right) as registry:
        assert [reply.status for reply in await _changes(registry)] == [405, 405, 405]
        with pytest.raises(StorageUnavailableError, match="waits for the right storage"):
            await journal.run()

        root.rmdir()  # so nobody has made anything in it
        shutil.rmtree(away / "uploads")  # as of a copy by tools that leave empty folders out
        away.rename(root)
        await registry.services.store_watch.look()
        assert (await put(registry.client, "later", _B)).status == 201
        await push_blob(registry.client, b"another layer")
        assert registry.services.metrics.database_mismatch._value.get() == 0
    await journal.run()
    await worker._close()

    assert [line["event"] for line in told if line["log_level"] == "error"] == ["database.mismatch"]
    assert await database.value("SELECT count(*) FROM outbox WHERE journalled_at IS NULL") == 0
    await _require_fit(pair.right)


@_ON_DISK
async def test_f47_the_storage_of_another_registry_is_to_be_replaced_and_not_rebuilt_from(pair: Pair) -> None:
    """Of two things that don't fit, the one is told whose remedy loses nothing."""
    async with in_process_registry(pair.wrong) as registry:
        await registry.stores.blobs.put(journal_entry_key("another", 7), b"{}")
    found = await asyncio.to_thread(check_storage_match, pair.wrong)

    assert "is missing, which this database has written" in found.message
    assert "put the right storage in place" in found.remedy


@_ON_DISK
@pytest.mark.parametrize("program", ["this", "former"])
async def test_f47_a_storage_that_took_the_newest_segment_only_is_a_wrong_one(
    pair: Pair, program: str
) -> None:
    """As after a former program's worker wrote there: the first fact is not there, so the rest won't be either."""
    async with in_process_registry(pair.right) as registry:
        await put(registry.client, "b", _B)
        await compact(registry.stores)
        newest = (await registry.stores.metadata.outbox.written()).newest_segment
    await _copy_journal(pair.right, pair.wrong, newest)
    if program == "former":  # it noted no segments
        await database_of(pair.right).fetch("DELETE FROM sweeps WHERE name = 'newest segment'")

    async with in_process_registry(pair.wrong) as registry:
        assert [reply.status for reply in await _changes(registry)] == [405, 405, 405]
    probes = StoreProbes(pair.wrong)
    read, detail = await probes.read_ready(), (await probes.write_ready()).detail
    await probes.aclose()
    assert read.ok is (program == "this")  # one that lost its first segment looks the same, and can be read
    assert "lacks fact 1, which this database has written there" in detail
    await _require_fit(pair.right)


async def test_f47_balancers_go_on_with_a_node_on_an_older_copy(pair: Pair) -> None:
    """What it holds can be pulled, and there may be nothing better; monitoring is told that pushes fail."""
    await _copy_journal(pair.right, pair.wrong)
    await _require_fit(pair.right)
    probes = StoreProbes(pair.wrong)
    read, write = await probes.read_ready(), await probes.write_ready()
    await probes.aclose()

    assert (read.ok, write.ok) == (True, False), (read, write)
    assert "is missing, which this database has written" in write.detail


@_ON_DISK
async def test_f47_a_storage_that_becomes_a_wrong_one_is_noticed_a_minute_later(pair: Pair) -> None:
    """As where its journal is removed. A probe comes each second, so that all is well is believed for a while."""
    now = [0.0]
    probes, root = StoreProbes(pair.right, lambda: now[0]), storage_root(pair.right)

    async def ask() -> tuple[ProbeResult, ProbeResult]:
        return await probes.read_ready(), await probes.write_ready()

    assert [result.ok for result in await ask()] == [True, True]
    away = (root / "journal").rename(root.with_name("away"))
    now[0] = 44.0  # from 45 on a write probe asks again, so that a slow store has answered by 60
    assert [result.ok for result in await ask()] == [True, True]
    now[0] = 61.0
    read, write = await ask()
    assert [result.ok for result in await ask()] == [False, False]  # nor is it believed the next time
    assert (read.ok, write.ok) == (False, False)
    assert "lacks fact 1" in read.detail
    assert "is missing, which this database has written" in write.detail

    away.rename(root / "journal")
    assert [result.ok for result in await ask()] == [True, True]
    await probes.aclose()


@_ON_DISK
async def test_f47_a_failure_ends_the_belief_that_all_is_well(pair: Pair) -> None:
    """A volume that went may come back as another one."""
    probes, root = StoreProbes(pair.right, lambda: 0.0), storage_root(pair.right)
    assert (await probes.read_ready()).ok
    assert (await probes.write_ready()).ok
    root.rename(root.with_name("away"))
    gone = [await probes.read_ready(), await probes.write_ready()]
    async with open_blob_store(pair.right):
        others = [await probes.read_ready(), await probes.write_ready()]
    await probes.aclose()

    assert ["is its volume mounted?" in result.detail for result in gone] == [True, True]
    assert ["which this database has written" in others[1].detail, others[0].ok] == [True, False]


@_ON_DISK
async def test_f47_a_probe_leaves_it_to_those_who_serve_to_log_what_does_not_fit(pair: Pair) -> None:
    """One that finds the right storage again knows nothing of the others, who may refuse writes until they start."""
    probes, root = StoreProbes(pair.right, lambda: 0.0), storage_root(pair.right)
    away = root.rename(root.with_name("away"))
    with structlog.testing.capture_logs() as told:
        async with open_blob_store(pair.right):
            assert not (await probes.write_ready()).ok
        shutil.rmtree(root)
        away.rename(root)
        assert (await probes.write_ready()).ok
    await probes.aclose()

    assert told == []


async def test_f47_an_older_copy_of_the_storage_takes_no_writes_until_it_is_repaired(pair: Pair) -> None:
    """What was journalled since is missing; whoever says that this is the right storage gets a whole journal again."""
    await _copy_journal(pair.right, pair.wrong)
    await _require_fit(pair.right)
    async with in_process_registry(pair.wrong) as registry:
        assert [reply.status for reply in await _changes(registry)] == [405, 405, 405]
        with pytest.raises(MassDamageError, match="is missing, which this database has written"):
            await _verify(registry.stores, REPAIR)
        assert [reply.status for reply in await _changes(registry)] == [405, 405, 405]
        await _verify(registry.stores, _FORCED)

    await _require_fit(pair.wrong)
    async with in_process_registry(pair.wrong) as registry:
        assert (await registry.client.request("GET", _LAYER)).body == LAYER
        facts = await database_of(pair.wrong).value("SELECT count(*) FROM outbox")
        journal = b"".join(
            [
                chunk
                for key in await keys_of(registry.stores.blobs, JOURNAL)
                async for chunk in registry.stores.blobs.read(key)
            ]
        )
    numbers = {line.partition(b":")[2].partition(b",")[0] for line in journal.splitlines()}
    assert len(numbers) == facts


@_ON_DISK
async def test_f47_a_storage_that_is_lost_is_begun_anew_on_purpose_only(pair: Pair) -> None:
    """A repair of a small registry on an empty storage stops; forced, it takes pushes, and the old one does not."""
    before = await picture_of(database_of(pair.right))
    async with in_process_registry(pair.wrong) as registry:
        with pytest.raises(MassDamageError):
            await _verify(registry.stores, REPAIR)
        assert await picture_of(database_of(pair.right)) == before
        await _verify(registry.stores, _FORCED)

    await _require_fit(pair.wrong)
    async with in_process_registry(pair.right) as registry:
        assert [reply.status for reply in await _changes(registry)] == [405, 405, 405]


@_ON_DISK
async def test_f47_nothing_is_swept_from_a_storage_that_is_not_the_right_one(pair: Pair) -> None:
    """A process that runs, too, asks before each pass."""
    async with in_process_registry(pair.wrong) as registry:
        metadata, blobs = registry.stores.metadata, registry.stores.blobs
        sweep = OrphanSweep(metadata, blobs, SweepOptions(0, 0), await steady_clock(metadata))
        await registry.stores.blobs.put("manifests/sha256/aa/aa/orphan", b"{}")
        reports = [await sweep.run() for _ in range(3)]

        assert all("this database has written" in report.refused for report in reports)
        assert await keys_of(registry.stores.blobs) == ["manifests/sha256/aa/aa/orphan"]


@_ON_DISK
async def test_f47_a_command_pushes_nothing_into_a_wrong_storage(pair: Pair) -> None:
    """Commands on the host are bound by no mode, but by this; what only reads goes on."""
    with pytest.raises(CommandError, match="its storage lacks what its database has written there"):
        async with open_command_services(pair.wrong, make_new=True):
            pytest.fail("it was opened")
    async with open_command_services(pair.wrong) as (stores, _):
        assert await keys_of(stores.blobs) == []
    async with open_command_services(pair.right, make_new=True):
        pass


@_ON_DISK
async def test_f47_what_waits_for_its_segment_is_no_proof(pair: Pair) -> None:
    """A process that was killed right after pushes, and a registry that was just made, start as before."""
    async with in_process_registry(pair.right) as registry:
        assert (await put(registry.client, "b", _B)).status == 201
    await _require_fit(pair.right)
    lose_database(pair.right)
    async with in_process_registry(pair.wrong) as registry:
        assert (await registry.client.request("POST", f"/v2/{NAME}/blobs/uploads/")).status == 202


async def test_f47_a_rebuilt_database_fits_the_entries_that_it_was_made_from(tmp_path: Path) -> None:
    """Lost before the first segment was written: facts count as written, and their entries stay."""
    settings = scratch_settings(tmp_path / "young")
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "a", _A)
    lose_database(settings)
    assert (await rebuild(settings))[0] == 0

    async with in_process_registry(settings) as registry:
        first = (await registry.stores.metadata.outbox.written()).first_fact
        assert [key for key in await keys_of(registry.stores.blobs, JOURNAL) if "segments" in key] == []
    assert first > 0
    probes = StoreProbes(settings)
    assert (await probes.read_ready()).ok
    await probes.aclose()
    await _require_fit(settings)
    await _require_fit(settings)


@_ON_DISK
async def test_f47_a_push_leads_no_row_away_from_a_volume_that_went_away(pair: Pair) -> None:
    """Unmounted under a process, from a directory that was written to before: what seems lost there is not healed."""
    root = storage_root(pair.right)
    before = (await picture_of(database_of(pair.right)))["blobs"]
    async with in_process_registry(pair.right) as registry:
        away = root.rename(root.with_name("away"))
        (root / "uploads").mkdir(parents=True)
        refused = await registry.client.request(
            "POST", f"/v2/{NAME}/blobs/uploads/?digest={Digest.of_bytes(LAYER)}", {}, [LAYER]
        )
        assert (refused.status, refused.error_code()) == (503, "UNAVAILABLE")
        assert registry.services.metrics.blobs_healed._value.get() == 0
        assert [key for key in await keys_of(registry.stores.blobs) if not key.startswith(JOURNAL)] == []
        shutil.rmtree(root)
        away.rename(root)
        assert (await registry.client.request("GET", _LAYER)).body == LAYER
        await push_blob(registry.client, LAYER)
    assert (await picture_of(database_of(pair.right)))["blobs"] == before
