"""What it costs a disk to prove, before each segment, that it is the right store (F47)."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.bootstrap import open_stores
from entrepot.registry.journal.writer import Journal
from entrepot.registry.store_match.ownership import find_discrepancy, find_lack
from entrepot.registry.store_match.recognition import find_strangeness
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.registry.sweeps.steady_clock import SteadyClock
from entrepot.workers import upkeep
from tests.asgi.services import in_process_registry
from tests.asgi.small_images import image, put
from tests.integration.rebuilding import compacted_registry, segments_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.blobstore.driver import StoredObject
    from entrepot.settings import Settings


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose journal lies in one segment."""
    return await compacted_registry(tmp_path / "data")


async def test_f47_the_first_fact_is_looked_for_once_in_a_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then by the name under which it was found, until that is gone: a disk reads a whole directory to list it."""
    listed = _listings(monkeypatch)
    async with open_stores(settings) as stores:
        assert [await find_lack(stores.metadata, stores.blobs) for _ in range(3)] == ["", "", ""]
        assert len(listed) == 1
        await stores.metadata.write(lambda tx: tx.journal.forget_segment())
        segments_of(settings)[0].unlink()
        assert "lacks fact 1" in await find_lack(stores.metadata, stores.blobs)
        assert len(listed) == 2


async def test_f47_on_a_disk_no_segments_are_listed_for_the_next_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the database names the one that this process wrote last; from another copy it names another."""
    monkeypatch.setattr(upkeep, "_ENTRY_GRACE_MILLISECONDS", 0)
    listed = _listings(monkeypatch)
    counts: list[int] = []
    async with in_process_registry(settings) as registry:
        stores = registry.stores
        journal = Journal(stores.blobs, await stores.metadata.instance.incarnation())
        watch = StoreWatch(stores.metadata, stores.blobs)
        duty = upkeep.journal_duty(stores.metadata, journal, SteadyClock(), watch)
        for name in ("b", "c", "d"):
            await put(registry.client, name, image(annotations={"n": name}))
            if name == "d":
                await stores.metadata.write(lambda tx: tx.journal.forget_segment())
            listed.clear()
            await duty.run()
            counts.append(len(listed))

    assert (counts[0] > 0, counts[1], counts[2] > 0) == (True, 0, True)


async def test_f47_the_database_is_asked_once_what_it_has_written(settings: Settings) -> None:
    """What the store lacks and which segment is the newest is one word, also where a worker names its own segment."""
    async with in_process_registry(settings) as registry:
        stores, counts = registry.stores, registry.counts
        newest = (await stores.metadata.outbox.written()).newest_segment
        for own_segment in ("", newest):
            counts.reset()
            assert await find_discrepancy(stores.metadata, stores.blobs, own_segment) is None
            assert counts.statements.count("outbox.written") == 1


async def test_f47_the_newest_segment_is_enough_to_read_and_to_write_the_first_fact_has_to_be_there_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probes ask each minute: one look at the right store, for which nothing is listed."""
    looked: list[str] = []
    stat = FilesystemBlobStore.stat

    async def noting(store: FilesystemBlobStore, key: str) -> int:
        looked.append(key)
        return await stat(store, key)

    async with open_stores(settings) as stores:
        await find_lack(stores.metadata, stores.blobs)  # by a listing
        listed = _listings(monkeypatch)
        monkeypatch.setattr(FilesystemBlobStore, "stat", noting)
        for find, looks in ((find_strangeness, 1), (find_lack, 2)):
            looked.clear()
            assert await find(stores.metadata, stores.blobs) == ""
            assert len(looked) == looks

    assert listed == []


async def test_f47_a_watch_that_believes_for_a_minute_asks_the_store_once_in_each(settings: Settings) -> None:
    """Probes come each second. One that believes for ever asks it no more than the database speaks for."""
    now = [0.0]
    asked: dict[float, list[float]] = {60.0: [], math.inf: []}
    async with in_process_registry(settings) as registry:
        stores, counts = registry.stores, registry.counts
        for seconds, moments in asked.items():
            now[0] = 0.0
            watch = StoreWatch(stores.metadata, stores.blobs, clock=lambda: now[0], believed_seconds=seconds)
            watch.suspect()
            for moment in (0.0, 1.0, 59.0, 60.0, 61.0, 119.0, 120.0, 121.0):
                now[0] = moment
                counts.reset()
                assert await watch.look() is None
                moments.extend([moment] * counts.statements.count("outbox.written"))

    assert asked == {60.0: [0.0, 60.0, 120.0], math.inf: [0.0]}


async def test_f47_many_who_ask_at_once_find_a_lost_segment_missing(settings: Settings) -> None:
    """What proved the first fact is forgotten by whoever is first to find it gone, and by no other."""
    async with open_stores(settings) as stores:
        assert await find_lack(stores.metadata, stores.blobs) == ""
        await stores.metadata.write(lambda tx: tx.journal.forget_segment())
        segments_of(settings)[0].unlink()
        found = await asyncio.gather(*(find_lack(stores.metadata, stores.blobs) for _ in range(16)))

    assert all("lacks fact 1" in lack for lack in found)


def _listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of the prefixes with segments that are listed from now on."""
    listed: list[str] = []
    list_objects = FilesystemBlobStore.list_objects

    def noting(store: FilesystemBlobStore, prefix: str, start_after: str = "") -> AsyncIterator[StoredObject]:
        if "/segments/" in prefix:
            listed.append(prefix)
        return list_objects(store, prefix, start_after)

    monkeypatch.setattr(FilesystemBlobStore, "list_objects", noting)
    return listed
