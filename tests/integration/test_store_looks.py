"""What it costs a disk to prove, before each segment, that it is the right store (F47)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.bootstrap import open_stores
from entrepot.registry.journal import Journal
from entrepot.registry.steady_clock import SteadyClock
from entrepot.registry.store_ownership import find_lack
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
        duty = upkeep.journal_duty(stores.metadata, journal, SteadyClock())
        for name in ("b", "c", "d"):
            await put(registry.client, name, image(annotations={"n": name}))
            if name == "d":
                await stores.metadata.write(lambda tx: tx.journal.forget_segment())
            listed.clear()
            await duty.run()
            counts.append(len(listed))

    assert (counts[0] > 0, counts[1], counts[2] > 0) == (True, 0, True)


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
