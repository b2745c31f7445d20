"""Deletions while a file of the journal is away, and when it is there again (F1, I3, I5).

Each call of `compact` ends a file of the journal; one of them is away while the database is made again.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.oci.digest import Digest
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import (
    INDEX_TYPE,
    LAYER_TYPE,
    NAME,
    descriptor,
    image,
    index,
    push_blob,
    push_blobs,
    put,
)
from tests.integration.rebuilding import compact, database_of, lose_database, rebuild, segments_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.settings import Settings
    from tests.asgi.services import InProcessRegistry

_OLD, _NEW, _OTHER = (image(annotations={"n": name}) for name in ("old", "new", "other"))
_TAGS: Final = """
SELECT t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id ORDER BY t.name
"""
_MANIFESTS: Final = "SELECT digest FROM manifests WHERE state = 'live' ORDER BY digest"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Where the registry of a test lives."""
    return scratch_settings(tmp_path / "data", cache__small_blob_bytes="0")


@asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[InProcessRegistry]:
    """Run a registry; what is done in it lies in a file of the journal of its own, unless more are made."""
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        yield registry
        await compact(registry.stores)


async def _push(registry: InProcessRegistry, *tags: tuple[str, bytes]) -> None:
    for tag, body in tags:
        assert (await put(registry.client, tag, body)).status == 201
    await compact(registry.stores)


async def _delete(registry: InProcessRegistry, body: bytes) -> None:
    path = f"/v2/{NAME}/manifests/{Digest.of_bytes(body)}"
    assert (await registry.client.request("DELETE", path)).status == 202


async def _state(settings: Settings) -> dict[str, list[Any]]:
    database = database_of(settings)
    return {"tags": await database.fetch(_TAGS), "manifests": await database.fetch(_MANIFESTS)}


async def _rebuild_without(settings: Settings, place: int, *, code: int = 0) -> tuple[Path, Path]:
    """Lose the database and make it again while a file of the journal is away; return where it is and belongs."""
    part = segments_of(settings)[place]
    away = part.rename(settings.data.directory / "away")
    lose_database(settings)
    assert (await rebuild(settings))[0] == code
    return away, part


async def test_i3_a_deleted_tag_does_not_come_back_at_an_older_image(settings: Settings) -> None:
    """The push that moved the tag is away, the deletion of what it moved to is not, and names the tag."""
    async with _running(settings) as registry:
        await _push(registry, ("prod", _OLD))
        await _push(registry, ("prod", _NEW))
        await _delete(registry, _NEW)
        await _push(registry, ("other", _OTHER))
    expected = await _state(settings)

    away, part = await _rebuild_without(settings, 1)

    assert await _state(settings) == expected
    away.rename(part)
    code, report = await rebuild(settings, "--catch-up")
    assert (code, report["losses"], report["lost_tags"]) == (0, [], [])
    assert await _state(settings) == expected


async def test_i5_a_deletion_that_comes_back_leaves_a_tag_that_was_set_again(settings: Settings) -> None:
    """It names a tag that a later push has moved to another image."""
    async with _running(settings) as registry:
        await _push(registry, ("prod", _OLD))
        await _delete(registry, _OLD)
        await compact(registry.stores)
        await _push(registry, ("prod", _NEW))
    expected = await _state(settings)
    away, part = await _rebuild_without(settings, 1)
    away.rename(part)

    code, _ = await rebuild(settings, "--catch-up")

    assert (code, await _state(settings)) == (0, expected)


@pytest.mark.parametrize("pushed_again", [False, True])
async def test_i5_a_tag_stays_away_whose_image_was_deleted_without_knowing_of_it(
    settings: Settings, *, pushed_again: bool
) -> None:
    """The database that deleted the image lacked the file that set the tag; pushed again under another, it has that."""
    async with _running(settings) as registry:
        await _push(registry, ("base", _OTHER), ("known", _NEW))
        await _push(registry, ("prod", _OLD), ("prod", _NEW))
        await _push(registry, ("other", _OTHER))
    away, part = await _rebuild_without(settings, 1)
    async with _running(settings) as registry:
        await _delete(registry, _NEW)
        if pushed_again:
            await _push(registry, ("again", _NEW))
    away.rename(part)

    code, _ = await rebuild(settings, "--catch-up")

    caught_up = await _state(settings)
    assert (code, [name for name, _ in caught_up["tags"]]) == (
        0,
        ["again"] * pushed_again + ["base", "other"],
    )
    lose_database(settings)
    await rebuild(settings)
    assert await _state(settings) == caught_up


async def test_i5_a_deletion_that_a_later_push_undid_is_no_loss(settings: Settings) -> None:
    """It comes back with that push, behind the index that needs the image: the database is what it was."""
    async with _running(settings) as registry:
        await _push(registry, ("base", _OTHER), ("prod", _OLD))
        await _delete(registry, _OLD)
        await _push(registry, ("prod", _OLD))
        await put(registry.client, "multi", index(_OLD, _OTHER), INDEX_TYPE)
    expected = await _state(settings)
    away, part = await _rebuild_without(settings, 1)
    away.rename(part)

    code, report = await rebuild(settings, "--catch-up")

    assert (code, report["losses"], await _state(settings)) == (0, [], expected)


async def test_i5_a_blob_that_was_linked_again_is_no_loss(settings: Settings) -> None:
    """Likewise, where an image needs it by now."""
    layer = b"a layer of its own"
    path = f"/v2/{NAME}/blobs/{Digest.of_bytes(layer)}"
    async with _running(settings) as registry:
        await push_blob(registry.client, layer)
        await compact(registry.stores)
        assert (await registry.client.request("DELETE", path)).status == 202
        await push_blob(registry.client, layer)
        await compact(registry.stores)
        await _push(registry, ("prod", image(layers=[descriptor(layer, LAYER_TYPE)])))
    expected = await _state(settings)
    away, part = await _rebuild_without(settings, 1)
    away.rename(part)

    code, report = await rebuild(settings, "--catch-up")

    assert (code, report["losses"], await _state(settings)) == (0, [], expected)


async def test_f1_every_tag_of_an_index_that_was_left_out_comes_back(settings: Settings) -> None:
    """Not only those of its last push: the images that it lists were away."""
    listed = index(_OLD, _NEW)
    async with _running(settings) as registry:
        await _push(registry, ("base", _OTHER))
        await _push(registry, ("old", _OLD), ("new", _NEW))
        for tag in ("one", "two"):
            assert (await put(registry.client, tag, listed, INDEX_TYPE)).status == 201
            await compact(registry.stores)
    expected = await _state(settings)
    away, part = await _rebuild_without(settings, 1, code=1)
    assert [name for name, _ in (await _state(settings))["tags"]] == ["base"]
    away.rename(part)

    code, report = await rebuild(settings, "--catch-up")

    assert (code, report["lost_tags"], await _state(settings)) == (0, [], expected)


async def test_i5_a_deletion_that_could_not_be_repeated_is_when_what_stood_in_its_way_was_deleted(
    settings: Settings,
) -> None:
    """The database knows that the image was deleted, and learns only now that its index had been before."""
    listed = index(_OLD, _OTHER)
    async with _running(settings) as registry:
        await _push(registry, ("other", _OTHER), ("old", _OLD))
        assert (await put(registry.client, "multi", listed, INDEX_TYPE)).status == 201
        await compact(registry.stores)
        await _delete(registry, listed)
        await compact(registry.stores)
        await _delete(registry, _OLD)
    expected = await _state(settings)
    away, part = await _rebuild_without(settings, 2, code=1)
    assert await _state(settings) != expected
    away.rename(part)

    code, report = await rebuild(settings, "--catch-up")

    assert (code, report["losses"], await _state(settings)) == (0, [], expected)
