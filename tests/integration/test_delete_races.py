"""Deletes at the same time as pushes, on both engines: some order of the two explains what is left (I2, I5)."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.oci.digest import Digest
from entrepot.settings import metadata_url
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
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
from tests.drivers.metadata.raw_database import RawDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from entrepot.settings import Settings
    from tests.asgi.client import AsgiReply
    from tests.drivers.postgres_server import PostgresServer

_ROUNDS = 25
_SPREAD_SECONDS = 0.02
"""How far apart the two requests of a race begin at most: about as long as a push takes."""


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """An empty registry on either engine."""
    if request.param == "sqlite":
        return scratch_settings(tmp_path / "data")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return scratch_settings(tmp_path / "data", metadata__url=server.create_database())


@pytest.fixture
async def registry(settings: Settings) -> AsyncIterator[InProcessRegistry]:
    """A node with the blobs of an image; whatever a test did, the facts explain its rows."""
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        yield registry
        await _assert_facts_explain_rows(registry)


async def _after_a_moment(request: Awaitable[AsgiReply]) -> AsgiReply:
    await asyncio.sleep(random.uniform(0, _SPREAD_SECONDS))
    return await request


async def _race(*requests: Awaitable[AsgiReply]) -> list[int]:
    return [reply.status for reply in await asyncio.gather(*map(_after_a_moment, requests))]


def _delete(registry: InProcessRegistry, path: str) -> Awaitable[AsgiReply]:
    return registry.client.request("DELETE", f"/v2/{NAME}/{path}")


async def _status(registry: InProcessRegistry, path: str) -> int:
    return (await registry.client.request("GET", f"/v2/{NAME}/{path}")).status


async def test_i2_a_manifest_push_races_with_the_delete_of_its_blob(registry: InProcessRegistry) -> None:
    """Either the manifest is there and the blob too, or the blob is gone and the manifest was refused."""

    async def one(number: int) -> tuple[int, ...]:
        layer = b"layer %d" % number
        digest = await push_blob(registry.client, layer)
        body = image(layers=[descriptor(layer, LAYER_TYPE)])
        pushed, deleted = await _race(
            put(registry.client, f"v{number}", body), _delete(registry, f"blobs/{digest}")
        )
        left = await _status(registry, f"manifests/v{number}"), await _status(registry, f"blobs/{digest}")
        return pushed, deleted, *left

    outcomes = set(await asyncio.gather(*map(one, range(_ROUNDS))))

    assert outcomes <= {(201, 409, 200, 200), (404, 202, 404, 404)}


async def test_i2_an_index_push_races_with_the_delete_of_its_image(registry: InProcessRegistry) -> None:
    """Either the index is there and the image too, or the image is gone and the index was refused."""

    async def one(number: int) -> tuple[int, ...]:
        child = image(annotations={"n": str(number)})
        digest = Digest.of_bytes(child)
        await put(registry.client, f"child{number}", child)
        pushed, deleted = await _race(
            put(registry.client, f"v{number}", index(child), INDEX_TYPE),
            _delete(registry, f"manifests/{digest}"),
        )
        left = [
            await _status(registry, f"manifests/{one}") for one in (f"v{number}", digest, f"child{number}")
        ]
        return pushed, deleted, *left

    outcomes = set(await asyncio.gather(*map(one, range(_ROUNDS))))

    assert outcomes <= {(201, 409, 200, 200, 200), (404, 202, 404, 404, 404)}


async def test_a_push_races_with_the_delete_of_the_same_manifest(registry: InProcessRegistry) -> None:
    """Both succeed in one order or the other: what was pushed last is whole, what was deleted last is gone."""

    async def one(number: int) -> tuple[int, ...]:
        body = image(annotations={"n": str(number)})
        digest = Digest.of_bytes(body)
        await put(registry.client, f"old{number}", body)
        pushed, deleted = await _race(
            put(registry.client, f"new{number}", body), _delete(registry, f"manifests/{digest}")
        )
        left = [
            await _status(registry, f"manifests/{one}") for one in (digest, f"new{number}", f"old{number}")
        ]
        return pushed, deleted, *left

    outcomes = set(await asyncio.gather(*map(one, range(_ROUNDS))))

    assert outcomes <= {(201, 202, 200, 200, 404), (201, 202, 404, 404, 404)}


async def test_i4_a_tag_is_moved_and_deleted_at_the_same_time(registry: InProcessRegistry) -> None:
    """The tag points at what was pushed last, or is gone; its manifests stay."""
    first, second = image(), image(annotations={"n": "2"})
    for body in (first, second):
        await put(registry.client, str(Digest.of_bytes(body)), body)

    async def one(number: int) -> tuple[int, ...]:
        await put(registry.client, f"v{number}", first)
        pushed, deleted = await _race(
            put(registry.client, f"v{number}", second), _delete(registry, f"manifests/v{number}")
        )
        return pushed, deleted, await _status(registry, f"manifests/v{number}")

    outcomes = set(await asyncio.gather(*map(one, range(_ROUNDS))))

    assert outcomes <= {(201, 202, 200), (201, 202, 404)}


async def test_i5_a_tag_of_a_dying_manifest_moves_away_or_dies_with_it(registry: InProcessRegistry) -> None:
    """A tag that moves to another manifest while its old one is deleted is never lost."""
    second = image(annotations={"n": "second"})
    await put(registry.client, "second", second)

    async def one(number: int) -> tuple[int, ...]:
        first = image(annotations={"n": str(number)})
        await put(registry.client, f"v{number}", first)
        pushed, deleted = await _race(
            put(registry.client, f"v{number}", second),
            _delete(registry, f"manifests/{Digest.of_bytes(first)}"),
        )
        return pushed, deleted, await _status(registry, f"manifests/v{number}")

    assert set(await asyncio.gather(*map(one, range(_ROUNDS)))) == {(201, 202, 200)}


async def test_s43_many_tags_at_once_move_while_their_manifests_die(registry: InProcessRegistry) -> None:
    """Pushes of ten tags in any order and deletes of what they point at get in nobody's way."""
    bodies = [image(annotations={"n": str(number)}) for number in range(3)]
    for body in bodies:
        await put(registry.client, str(Digest.of_bytes(body)), body)
    requests: list[Awaitable[AsgiReply]] = []
    for number in range(24):
        body = bodies[number % 3]
        names = [f"t{tag}" for tag in range(10)]
        random.shuffle(names)
        query = "&".join(f"tag={name}" for name in names)
        requests += [
            put(registry.client, f"{Digest.of_bytes(body)}?{query}", body),
            _delete(registry, f"manifests/{Digest.of_bytes(bodies[(number + 1) % 3])}"),
        ]

    async with asyncio.timeout(60):
        statuses = await _race(*requests)

    assert set(statuses[::2]) == {201}
    assert set(statuses[1::2]) <= {202, 404}


async def test_a_blob_is_pushed_again_and_deleted_at_the_same_time(registry: InProcessRegistry) -> None:
    """It is there or not, and whoever pushes it after that can use it."""

    async def again(number: int) -> AsgiReply:
        target = f"/v2/{NAME}/blobs/uploads/?digest={Digest.of_bytes(b'blob %d' % number)}"
        return await registry.client.request("POST", target, {}, [b"blob %d" % number])

    async def one(number: int) -> tuple[int, ...]:
        digest = await push_blob(registry.client, b"blob %d" % number)
        pushed, deleted = await _race(again(number), _delete(registry, f"blobs/{digest}"))
        return pushed, deleted, await _status(registry, f"blobs/{digest}")

    outcomes = set(await asyncio.gather(*map(one, range(_ROUNDS))))

    assert outcomes <= {(201, 202, 200), (201, 202, 404)}


async def _assert_facts_explain_rows(registry: InProcessRegistry) -> None:
    """Facts told again in their order give the manifests, tags and links that are there: what a rebuild would do."""
    database = RawDatabase(metadata_url(registry.settings))
    tags: dict[str, str] = {}
    manifests: set[str] = set()
    links: set[str] = set()
    for kind, payload in await database.fetch("SELECT kind, payload FROM outbox ORDER BY id"):
        fact = msgspec.json.decode(payload)
        if kind == "manifest.put":
            manifests.add(fact["digest"])
            tags.update(dict.fromkeys(fact["tags"], fact["digest"]))
        elif kind == "manifest.delete":
            manifests.discard(fact["digest"])
            assert {tag for tag, digest in tags.items() if digest == fact["digest"]} == set(fact["tags"])
            tags = {tag: digest for tag, digest in tags.items() if digest != fact["digest"]}
        elif kind == "tag.delete":
            assert tags.pop(fact["tag"]) == fact["digest"]
        else:
            (links.add if kind == "blob.linked" else links.discard)(fact["digest"])
    rows = await database.fetch(
        "SELECT t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id"
    )
    assert dict(rows) == tags
    live = await database.fetch("SELECT digest FROM manifests WHERE state = 'live'")
    assert {digest for (digest,) in live} == manifests
    linked = await database.fetch("SELECT b.digest FROM repository_blobs l JOIN blobs b ON b.id = l.blob_id")
    assert {digest for (digest,) in linked} == links
