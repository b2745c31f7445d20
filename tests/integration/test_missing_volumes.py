"""A volume that is not mounted, or another in its place (F47): its mount point becomes no storage and takes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import (
    StoreProbes,
    build_background_worker,
    open_blob_store,
    open_existing_stores,
    open_stores,
)
from entrepot.ops.checks.storage_match import check_storage_match
from entrepot.ops.command_stores import open_command_services
from entrepot.ops.errors import CommandError
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.settings import storage_root
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import NAME, image, push_blobs, put
from tests.drivers.blobstore.staging import keys_of
from tests.integration.rebuilding import compact, compacted_registry
from tests.integration.test_commands import run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from entrepot.settings import Settings
    from tests.asgi.client import AsgiReply

_NEW = image(annotations={"n": "new"})


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose journal lies in one segment."""
    return await compacted_registry(tmp_path / "data")


@pytest.fixture
def away(settings: Settings) -> Path:
    """Where its storage lies now; an empty mount point is left in its place."""
    root = storage_root(settings)
    volume = root.rename(root.with_name("away"))
    root.mkdir()
    return volume


def _come_back(root: Path, away: Path, left: str) -> None:
    """Put the volume back, and make sure that nobody has made anything where it belongs."""
    if left == "nothing":
        assert not root.exists()
    else:
        root.rmdir()
    away.rename(root)


async def _start_worker(settings: Settings) -> None:
    worker = build_background_worker(settings)
    for duty in await worker._open_duties():
        with contextlib.suppress(Exception):  # the journal's says that it waits for the right storage
            await duty.run()
    await worker._close()


async def _probe(settings: Settings) -> None:
    probes = StoreProbes(settings)
    assert [(await probes.read_ready()).ok, (await probes.write_ready()).ok] == [False, False]
    await probes.aclose()


async def _serve(settings: Settings) -> None:
    async with in_process_registry(settings) as registry:
        assert (await put(registry.client, "new", _NEW)).status == 405


async def _examine(settings: Settings) -> None:
    assert (await asyncio.to_thread(check_storage_match, settings)).status == "fail"


async def _import(settings: Settings) -> None:
    with pytest.raises(CommandError, match="its storage lacks what its database has written there"):
        async with open_command_services(settings, make_new=True):
            pytest.fail("it was opened")


async def _repair(settings: Settings) -> None:
    stopped = await _verify(settings, "--repair")
    assert stopped.returncode == 3
    assert "which this database has written" in stopped.stderr


async def _verify(settings: Settings, *options: str) -> subprocess.CompletedProcess[str]:
    data = settings.data.directory
    return await asyncio.to_thread(run, data.parent, "verify", "--data", str(data), *options)


@pytest.mark.parametrize("act", [_start_worker, _probe, _serve, _examine, _import, _repair])
@pytest.mark.parametrize("left", ["nothing", "an empty mount point"])
async def test_f47_nothing_that_starts_makes_a_storage_where_the_volume_is_missing(
    settings: Settings, away: Path, act: Callable[[Settings], Coroutine[None, None, None]], left: str
) -> None:
    """Whoever had the volume before would push into it, as long as nobody looks."""
    root = storage_root(settings)
    if left == "nothing":
        root.rmdir()
    await act(settings)

    _come_back(root, away, left)
    async with in_process_registry(settings) as registry:
        assert (await put(registry.client, "new", _NEW)).status == 201


async def test_f47_no_push_is_acknowledged_without_the_volume_whoever_starts_beside_it(
    settings: Settings,
) -> None:
    """Before anybody has looked, too: the directories that a push needs are not there."""
    root = storage_root(settings)
    async with in_process_registry(settings) as registry:
        begun = (await registry.client.request("POST", f"/v2/{NAME}/blobs/uploads/")).headers["location"]
        begun = (await _send(registry, begun, b"hel")).headers["location"]
        away = root.rename(root.with_name("away"))
        root.mkdir()
        await _start_worker(settings)
        assert (await put(registry.client, "new", _NEW)).status == 503
        assert (await _send(registry, begun, b"lo")).status == 503
        with pytest.raises(AssertionError, match="503"):
            await push_blobs(registry.client)
        assert list(root.iterdir()) == []

        assert await registry.services.store_watch.look() is not None
        assert (await put(registry.client, "new", _NEW)).status == 405
        root.rmdir()
        away.rename(root)
        assert await registry.services.store_watch.look() is None
        assert (await put(registry.client, "new", _NEW)).status == 201
        assert (await _send(registry, begun, b"lo")).headers["range"] == "0-4"


async def _send(registry: InProcessRegistry, location: str, content: bytes) -> AsgiReply:
    return await registry.client.request("PATCH", location, {}, [content])


async def test_f47_another_volume_in_its_place_is_noticed_at_the_next_look(
    settings: Settings, tmp_path: Path
) -> None:
    """Nothing else gives a reason to ask the storage; the same one, mounted anew, is taken as before."""
    root = storage_root(settings)
    other = scratch_settings(tmp_path / "other")
    async with open_blob_store(other):  # which makes its directories
        pass
    async with open_existing_stores(settings) as stores:
        watch = StoreWatch(stores.metadata, stores.blobs)
        assert await watch.look() is None
        away = root.rename(root.with_name("away"))
        storage_root(other).rename(root)
        found = await watch.look()
        assert found is not None
        assert "which this database has written" in found.reason

        shutil.rmtree(root)
        away.rename(root)
        assert await watch.look() is None
        shutil.copytree(root, away)
        shutil.rmtree(root)
        away.rename(root)
        assert await watch.look() is None


async def test_f47_a_storage_that_lost_its_directories_and_not_its_journal_has_them_made_again(
    settings: Settings,
) -> None:
    """It is the right one: whoever starts mends it."""
    root = storage_root(settings)
    for name in ("blobs", "uploads"):
        shutil.rmtree(root / name)
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        assert (await put(registry.client, "new", _NEW)).status == 201


@pytest.mark.usefixtures("away")
async def test_f47_who_says_that_a_missing_storage_is_the_right_one_begins_it_anew(
    settings: Settings,
) -> None:
    """`verify --repair --force`; the registry takes pushes then."""
    forced = await _verify(settings, "--repair", "--force")
    assert forced.returncode == 1, forced  # bytes are lost

    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        assert (await put(registry.client, "new", _NEW)).status == 201
        await compact(registry.stores)
        assert await keys_of(registry.stores.blobs, "journal/") != []


async def test_f47_a_new_registry_makes_its_storage(tmp_path: Path) -> None:
    """Its database has written nothing yet that could be missing."""
    settings = scratch_settings(tmp_path / "new")
    for _ in range(2):
        async with open_stores(settings) as stores:
            await stores.blobs.check()
        shutil.rmtree(storage_root(settings))
