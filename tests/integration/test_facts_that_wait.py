"""What it costs to look at a journal whose facts wait for their segment, and how slow a store may be then (F47)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.blobstore.s3 import S3BlobStore
from entrepot.bootstrap import StoreProbes, lasting_look
from entrepot.bootstrap.lasting_look import LastingLook
from entrepot.registry.store_match.ownership import find_discrepancy
from entrepot.registry.store_match.watch import StoreWatch
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import image, push_blobs, put
from tests.integration.rebuilding import compact, compacted_registry, database_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.drivers.s3_server import S3Server

_FACTS = 40
_AT_ONCE = 16


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry of whose journal a part lies in a segment, and whose worker has been away since."""
    async with in_process_registry(await compacted_registry(tmp_path / "data")) as registry:
        for number in range(_FACTS):
            await put(registry.client, f"tag-{number}", image())
        yield registry


def _reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of the entries that are read from now on."""
    seen: list[str] = []
    read = FilesystemBlobStore.read

    def noting(
        store: FilesystemBlobStore, key: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        if "/entries/" in key:
            seen.append(key)
        return read(store, key, start, end)

    monkeypatch.setattr(FilesystemBlobStore, "read", noting)
    return seen


async def test_f47_each_look_reads_some_of_the_facts_that_wait_and_none_twice(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who writes a segment compares all of them; a start reads as many as a look."""
    stores, seen = registry.stores, _reads(monkeypatch)
    watch = StoreWatch(stores.metadata, stores.blobs)
    counts: list[int] = []
    for _ in range(4):
        before = len(seen)
        watch.suspect()
        assert await watch.look() is None
        counts.append(len(seen) - before)

    assert (counts, len(set(seen))) == ([_AT_ONCE, _AT_ONCE, _FACTS - 2 * _AT_ONCE, 0], _FACTS)
    seen.clear()
    assert await watch.ask() is None
    assert len(seen) == _FACTS
    seen.clear()
    assert await find_discrepancy(stores.metadata, stores.blobs) is None
    assert len(seen) == _AT_ONCE


async def test_f47_a_fact_that_became_another_one_is_read_again_and_its_rival_is_not_forgotten(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older copy that was put in place gives numbers anew that were compared a moment ago."""
    stores = registry.stores
    watch = StoreWatch(stores.metadata, stores.blobs)
    for _ in range(3):
        watch.suspect()
        await watch.look()
    await database_of(registry.settings).fetch(
        "UPDATE outbox SET actor = 'another' WHERE id = (SELECT max(id) - 5 FROM outbox)"
    )
    seen = _reads(monkeypatch)
    watch.suspect()
    found = await watch.look()

    assert (found is not None, len(seen)) == (True, 1)
    assert await watch.look() == found
    # The worker compares all of them: what it finds is found again by its next look, which does not.
    worker = StoreWatch(stores.metadata, stores.blobs)
    assert [await worker.ask(), await worker.look()] == [found, found]


async def test_f47_an_older_copy_is_told_by_any_run_of_rivals(registry: InProcessRegistry) -> None:
    """What waited when the copy was made comes first and is the same in both; some are read from all over the rest."""
    await database_of(registry.settings).fetch(
        "UPDATE outbox SET actor = 'another' WHERE id > (SELECT max(id) - 5 FROM outbox)"
    )
    found = await find_discrepancy(registry.stores.metadata, registry.stores.blobs)
    assert found is not None
    assert "under the same numbers" in found.summary


async def test_f47_a_store_is_asked_everything_at_the_same_time(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segment, first fact, whose journals there are, and both folders: a bucket that takes long takes it once."""
    stores = registry.stores
    await find_discrepancy(stores.metadata, stores.blobs)
    meeting = asyncio.Barrier(5)
    arrived = 0

    async def meet() -> None:
        nonlocal arrived
        arrived += 1
        if arrived <= meeting.parties:
            await meeting.wait()

    _before(monkeypatch, FilesystemBlobStore, "stat", meet)
    _before(monkeypatch, FilesystemBlobStore, "list_folders", meet)
    list_objects = FilesystemBlobStore.list_objects

    async def listing(
        store: FilesystemBlobStore, prefix: str, start_after: str = ""
    ) -> AsyncIterator[object]:
        await meet()
        async for found in list_objects(store, prefix, start_after):
            yield found

    monkeypatch.setattr(FilesystemBlobStore, "list_objects", listing)
    async with asyncio.timeout(60):  # whoever asks for one after the other waits for ever
        assert await find_discrepancy(stores.metadata, stores.blobs) is None


async def test_f47_a_slow_answer_leaves_the_last_one_good_for_a_minute(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a question outlives the probe that asked it, so that the next one has its answer."""
    monkeypatch.setattr(lasting_look, "_PATIENCE_SECONDS", 0.0)
    now, go_on, asked = [0.0], asyncio.Event(), asyncio.Semaphore(0)

    async def wait() -> None:
        asked.release()
        await go_on.wait()

    _before(monkeypatch, FilesystemBlobStore, "list_folders", wait)
    look = LastingLook(registry.stores, lambda: now[0])
    first = asyncio.ensure_future(look.find())
    await asked.acquire()
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    go_on.set()
    assert (await look.find(), asked.locked(), look.fits) == (None, True, True)

    go_on.clear()
    for moment in (45.0, 59.9):
        now[0] = moment
        assert await look.find() is None
    now[0] = 60.0
    assert not look.fits
    late = asyncio.ensure_future(look.find())
    await asked.acquire()
    await asyncio.sleep(0)
    assert not late.done()
    go_on.set()
    assert (await late, asked.locked()) == (None, True)
    await look.aclose()


async def test_f47_a_slow_bucket_is_tried_while_it_is_asked(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not before it is known to be the right one."""
    settings = scratch_settings(
        tmp_path / "data",
        storage__driver="s3",
        storage__s3__endpoint=s3_server.endpoint_url,
        storage__s3__bucket=s3_server.bucket,
        storage__s3__prefix="facts-that-wait/",
        storage__s3__access_key=s3_server.access_key_id,
        storage__s3__secret_key=s3_server.secret_access_key,
    )
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "a", image())
        await compact(registry.stores)
    now = [0.0]
    probes = StoreProbes(settings, lambda: now[0])
    order: list[str] = []

    async def note(what: str) -> None:
        order.append(what)

    assert (await probes.read_ready()).ok
    _before(monkeypatch, S3BlobStore, "list_folders", lambda: note("list_folders"))
    _before(monkeypatch, S3BlobStore, "check", lambda: note("check"))
    assert (await probes.write_ready()).ok
    assert order == ["list_folders", "check"]

    monkeypatch.setattr(lasting_look, "_PATIENCE_SECONDS", 100.0)
    meeting = asyncio.Barrier(2)
    for what in ("list_folders", "check"):
        _before(monkeypatch, S3BlobStore, what, meeting.wait)
    now[0] = 50.0
    async with asyncio.timeout(60):  # as above
        assert (await probes.write_ready()).ok
    await probes.aclose()


def _before(
    monkeypatch: pytest.MonkeyPatch, store: type, name: str, act: Callable[[], Awaitable[object]]
) -> None:
    """Have something done before each call of an asynchronous method."""
    method = getattr(store, name)

    async def acting(*arguments: object) -> object:
        await act()
        return await method(*arguments)

    monkeypatch.setattr(store, name, acting)
