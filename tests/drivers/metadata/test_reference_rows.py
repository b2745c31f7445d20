"""What refers to a blob or a manifest: live manifests of the same repository, by target or by digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.metadata.records import ImageReference
from tests.drivers.metadata.material import (
    ALICE,
    REPOSITORY,
    digest_of,
    layer,
    push_blob,
    push_manifest,
)

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from tests.drivers.metadata.raw_database import RawDatabase


def _child(digest: Digest) -> ImageReference:
    return ImageReference("manifest", digest, 2, "application/vnd.oci.image.manifest.v1+json")


async def _with_blob(metadata: Metadata, content: str, limit: int = 10) -> list[Digest]:
    async def unit(tx: Transaction) -> list[Digest]:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        blob_id = await tx.blobs.hold_link(row.id, digest_of(content))
        assert blob_id is not None
        return list(await tx.references.manifests_with_blob(row.id, blob_id, digest_of(content), limit))

    return await metadata.write(unit)


async def _with_manifest(metadata: Metadata, digest: Digest) -> list[Digest]:
    async def unit(tx: Transaction) -> list[Digest]:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        manifest_id = await tx.manifests.hold(row.id, digest)
        assert manifest_id is not None
        return list(await tx.references.indexes_with_manifest(row.id, manifest_id, digest, 10))

    return await metadata.write(unit)


async def test_i2_live_manifests_of_the_repository_hold_a_blob(
    metadata: Metadata, database: RawDatabase
) -> None:
    for repository in (REPOSITORY, "team/other"):
        await push_blob(metadata, "a", repository)
    one = await push_manifest(metadata, '{"n":1}', (layer("a"),))
    two = await push_manifest(metadata, '{"n":2}', (layer("a"),))
    await push_manifest(metadata, '{"n":3}', (layer("a"),), "team/other")
    await push_manifest(metadata, '{"n":4}', (layer("b"),))

    assert set(await _with_blob(metadata, "a")) == {one, two}
    assert len(await _with_blob(metadata, "a", 1)) == 1
    await database.fetch(f"UPDATE manifests SET state = 'condemned' WHERE digest = '{one}'")
    assert await _with_blob(metadata, "a") == [two]


async def test_i2_a_reference_from_before_the_blob_came_holds_it_too(metadata: Metadata) -> None:
    early = await push_manifest(metadata, '{"n":1}', (layer("a"),))
    await push_manifest(metadata, '{"n":1}', (layer("a"),), "team/other")
    await push_blob(metadata, "a")

    assert await _with_blob(metadata, "a") == [early]


async def test_i2_live_indexes_hold_a_manifest(metadata: Metadata, database: RawDatabase) -> None:
    child = await push_manifest(metadata, '{"child":1}', tag=None)
    by_target = await push_manifest(metadata, '{"n":1}', (_child(child),))
    late = digest_of('{"child":2}')
    by_digest = await push_manifest(metadata, '{"n":2}', (_child(late),))
    await push_manifest(metadata, '{"child":2}', tag=None)

    assert await _with_manifest(metadata, child) == [by_target]
    assert await _with_manifest(metadata, late) == [by_digest]
    assert await _with_manifest(metadata, by_target) == []
    await database.fetch(f"UPDATE manifests SET state = 'condemned' WHERE digest = '{by_target}'")
    assert await _with_manifest(metadata, child) == []


async def test_what_need_not_be_there_is_connected_by_a_second_push(
    metadata: Metadata, database: RawDatabase
) -> None:
    child = digest_of('{"child":1}')
    references = (
        ImageReference("layer", digest_of("a"), 1, "application/x", required=False),
        ImageReference("manifest", child, 2, "application/x", required=False),
    )
    connected = (
        "SELECT count(blob_id), count(child_id) FROM manifest_references WHERE digest IN "
        f"('{digest_of('a')}', '{child}')"
    )
    await push_manifest(metadata, '{"n":1}', references)
    await push_manifest(metadata, '{"n":1}', references)
    assert await database.fetch(connected) == [(0, 0)]
    await push_blob(metadata, "a")
    await push_manifest(metadata, '{"child":1}', tag=None)

    await push_manifest(metadata, '{"n":1}', references)

    assert await database.fetch(connected) == [(1, 1)]
