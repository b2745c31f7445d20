"""Walks through all rows, page by page, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.metadata.inventory import InventoryTag
from tests.drivers.metadata.material import (
    MEDIA_TYPE,
    REPOSITORY,
    TAG,
    digest_of,
    layer,
    push_blob,
    push_manifest,
    tag_manifest,
)

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase


async def test_blobs_of_every_state_come_by_number(metadata: Metadata, database: RawDatabase) -> None:
    keys = [await push_blob(metadata, content) for content in ("a", "bb", "ccc")]
    await database.fetch("UPDATE blobs SET state = 'condemned' WHERE size_bytes = 2")

    first = await metadata.inventory.blobs(0, 2)
    second = await metadata.inventory.blobs(first[-1].id, 2)

    assert [(blob.size_bytes, blob.state, blob.storage_key) for blob in (*first, *second)] == [
        (1, "live", keys[0]),
        (2, "condemned", keys[1]),
        (3, "live", keys[2]),
    ]
    assert [blob.digest for blob in first] == [digest_of("a"), digest_of("bb")]
    assert await metadata.inventory.blobs(second[-1].id, 2) == []


async def test_bodies_come_by_digest(metadata: Metadata) -> None:
    digests = sorted([str(await push_manifest(metadata, body, tag=None)) for body in ("{}", "[]", "1")])

    first = await metadata.inventory.bodies("", 2)
    rest = await metadata.inventory.bodies(str(first[-1].digest), 2)

    assert [str(body.digest) for body in (*first, *rest)] == digests
    assert {body.body for body in (*first, *rest)} == {b"{}", b"[]", b"1"}
    assert all(body.size_bytes == len(body.body) and body.storage_key for body in first)


async def test_live_manifests_of_all_repositories(metadata: Metadata, database: RawDatabase) -> None:
    await push_manifest(metadata, "{}")
    await push_manifest(metadata, "[]", tag=None)
    await push_manifest(metadata, "{}", repository="team/other")
    await push_manifest(metadata, "1", repository="team/gone")
    await database.fetch("UPDATE repositories SET deleted_at = 1 WHERE name = 'team/gone'")
    await database.fetch(f"UPDATE manifests SET state = 'condemned' WHERE digest = '{digest_of('[]')}'")

    found = await metadata.inventory.manifests(0, 10)

    assert [(manifest.repository, manifest.digest) for manifest in found] == [
        (REPOSITORY, digest_of("{}")),
        ("team/other", digest_of("{}")),
    ]
    assert found[0].media_type == MEDIA_TYPE
    assert await metadata.inventory.manifests(found[0].id, 1) == found[1:]
    assert await metadata.inventory.manifests_of(REPOSITORY, "", 10) == found[:1]
    assert await metadata.inventory.manifests_of(REPOSITORY, str(found[0].digest), 10) == []
    assert await metadata.inventory.manifests_of("team/gone", "", 10) == []


async def test_tags_of_a_repository_with_what_they_point_at(metadata: Metadata) -> None:
    digest = await push_manifest(metadata)
    await tag_manifest(metadata, "other", digest)

    assert await metadata.inventory.tags_of(REPOSITORY, "", 1) == [InventoryTag("other", digest, MEDIA_TYPE)]
    assert await metadata.inventory.tags_of(REPOSITORY, "other", 5) == [InventoryTag(TAG, digest, MEDIA_TYPE)]
    assert await metadata.inventory.tags_of("team/none", "", 5) == []


async def test_links_of_a_repository_are_its_own(metadata: Metadata) -> None:
    await push_blob(metadata, "a")
    await push_blob(metadata, "a", "team/other")
    await push_blob(metadata, "b", "team/other")
    await push_manifest(metadata, "{}", (layer("a"),))

    found = await metadata.inventory.links_of("team/other", 0, 10)

    assert [blob.digest for blob in found] == [digest_of("a"), digest_of("b")]
    assert await metadata.inventory.links_of("team/other", found[0].id, 10) == found[1:]
    assert [blob.digest for blob in await metadata.inventory.links_of(REPOSITORY, 0, 10)] == [digest_of("a")]


async def test_a_sweep_that_is_held_is_nobody_elses(metadata: Metadata, database: RawDatabase) -> None:
    """Whoever holds keeps the sweep from its turn, due or not, and leaves its progress alone."""

    async def unit(tx: Transaction) -> None:
        claim = await tx.orphans.claim("orphans", 60)
        assert claim is not None
        await tx.orphans.release(claim, 3600)

    await metadata.write(unit)
    held = await metadata.write(lambda tx: tx.orphans.hold("orphans", 60))

    assert held is not None
    assert await metadata.write(lambda tx: tx.orphans.hold("orphans", 60)) is None
    await database.fetch("UPDATE sweeps SET due_at = 0")
    assert await metadata.write(lambda tx: tx.orphans.claim("orphans", 60)) is None
    await metadata.write(lambda tx: tx.orphans.release(held, 0))
    assert await metadata.write(lambda tx: tx.orphans.claim("orphans", 60)) is not None
