"""What a process opens that is not the first of its node's start: a registry that is there, or nothing (F47)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import StoreProbes, build_background_worker, edges, open_stores
from entrepot.metadata.errors import MetadataUnavailableError, SchemaMismatchError
from entrepot.registry.journal.reader import find_incarnations
from entrepot.settings import metadata_path, metadata_url
from tests.drivers.metadata.raw_database import RawDatabase
from tests.integration.rebuilding import compacted_registry, lose_database
from tests.running.laid_schema import lay_schema
from tests.stateful.node import node_settings

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.blobstore.driver import BlobStore
    from entrepot.settings import Settings


async def _require_refusals(settings: Settings, reason: str) -> None:
    """Each process of a node refuses, but the ops listener, which tells of it."""
    probes = StoreProbes(settings)
    for answer in (await probes.read_ready(), await probes.write_ready()):
        assert (answer.ok, reason in answer.detail) == (False, True)
    await probes.aclose()
    with pytest.raises(MetadataUnavailableError, match=reason):
        await build_background_worker(settings).run(asyncio.Event())
    with pytest.raises(MetadataUnavailableError, match=reason):
        async with edges.open_edges(settings, makes_new=False):
            pytest.fail("it was opened")


@pytest.mark.parametrize("left", ["nothing", "an empty directory", "an empty file"])
async def test_f47_no_process_that_comes_later_makes_a_database(tmp_path: Path, left: str) -> None:
    settings = await compacted_registry(tmp_path / "data")
    lose_database(settings)
    path = metadata_path(settings)
    if left != "nothing":
        path.parent.mkdir()
    if left == "an empty file":
        path.touch()

    await _require_refusals(settings, "holds no registry: it is missing or empty")

    kept = sorted(path.parent.rglob("*")) if path.parent.exists() else None
    assert kept == {"nothing": None, "an empty directory": [], "an empty file": [path]}[left]


async def test_f47_no_process_that_comes_later_makes_keys_or_people_in_a_database_without_anybody(
    tmp_path: Path,
) -> None:
    """Such as one whose restore is under way: what was made would be in the way of the rows to come."""
    settings = node_settings(tmp_path)
    path = metadata_path(settings)
    path.parent.mkdir(parents=True)
    lay_schema(path)
    with pytest.raises(MetadataUnavailableError, match="knows no person"):
        async with edges.open_edges(settings, makes_new=False):
            pytest.fail("it was opened")

    database = RawDatabase(metadata_url(settings))
    assert (await database.count("users"), await database.count("signing_keys")) == (0, 0)


async def test_f47_a_start_makes_no_database_beside_a_journal(tmp_path: Path) -> None:
    """It was lost, or is not there yet: a new one would be served as an empty registry."""
    settings = await compacted_registry(tmp_path / "data")
    lose_database(settings)

    with pytest.raises(
        SchemaMismatchError, match="put its database back, or run `entrepot rebuild`"
    ) as caught:
        async with open_stores(settings):
            pytest.fail("it was opened")

    assert caught.value.found == 0
    assert not metadata_path(settings).parent.exists()


async def test_f47_a_journal_that_comes_with_the_database_of_another_node_is_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two nodes that start, one makes the database and takes a push before the other has looked for a journal."""
    settings = await compacted_registry(tmp_path / "data")
    metadata = metadata_path(settings).parent
    away, find = metadata.rename(tmp_path / "away"), find_incarnations

    async def find_late(blobs: BlobStore) -> list[str]:
        found = await find(blobs)
        away.rename(metadata)
        return found

    monkeypatch.setattr("entrepot.bootstrap.stores.find_incarnations", find_late)
    async with open_stores(settings) as stores:
        assert await stores.metadata.orphans.last_fact() > 0
