"""Deletes and pushes step by step on PostgreSQL: whoever comes first is waited for, and then seen (I2, I5).

One of the two runs half a unit on a connection of its own, the other must stand still until that unit is committed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import pytest

from entrepot.auth.grants import Delete, Grant
from entrepot.auth.principals import Principal
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.metadata.records import ImageReference, StoredManifest
from entrepot.oci.names import RepositoryName, TagName
from entrepot.registry.deletions import Deletions
from entrepot.registry.errors import ContentInUseError
from entrepot.registry.journal.writer import Journal
from tests.drivers.metadata.half_units import half_a_unit, started_and_waiting
from tests.drivers.metadata.material import (
    ALICE,
    REPOSITORY,
    TAG,
    digest_of,
    layer,
    new_manifest,
    push_blob,
    push_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from tests.drivers.metadata.raw_database import RawDatabase

T = TypeVar("T")

_LOOK_SECONDS = 0.15
_GRANT = Grant(Delete, RepositoryName.parse(REPOSITORY), Principal(ALICE, "127.0.0.1", forwarded=False))


@pytest.fixture
def engine() -> str:
    """PostgreSQL only: on SQLite there is one writer at a time."""
    return "postgresql"


@pytest.fixture
def deletions(metadata: Metadata) -> Deletions:
    """The service under test on the store under test."""
    return Deletions(metadata, Journal(MemoryBlobStore(), "incarnation"))


def _in_repository(metadata: Metadata, act: Callable[[Transaction, int], Awaitable[T]]) -> Awaitable[T]:
    async def unit(tx: Transaction) -> T:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        return await act(tx, row.id)

    return metadata.write(unit)


async def _repository_id(tx: Transaction) -> int:
    return (await tx.repositories.ensure(REPOSITORY, "team", ALICE)).id


def _child(digest: Digest) -> ImageReference:
    return ImageReference("manifest", digest, 2, "application/vnd.oci.image.manifest.v1+json")


async def test_i2_a_blob_delete_waits_for_a_push_that_refers_to_it(
    metadata: Metadata, database: RawDatabase, deletions: Deletions
) -> None:
    await push_blob(metadata, "a")
    async with half_a_unit(database) as push:
        repository = await _repository_id(push)
        assert list(await push.blobs.absent_from(repository, [digest_of("a")])) == []
        deleting = await started_and_waiting(deletions.delete_blob(_GRANT, digest_of("a")))
        await push.manifests.put(new_manifest(repository, "{}", (layer("a"),)))

    with pytest.raises(ContentInUseError):
        await deleting


async def test_i2_a_push_waits_for_a_blob_delete_and_finds_it_missing(
    metadata: Metadata, database: RawDatabase
) -> None:
    async def absent(tx: Transaction, repository: int) -> Sequence[Digest]:
        return await tx.blobs.absent_from(repository, [digest_of("a")])

    await push_blob(metadata, "a")
    async with half_a_unit(database) as delete:
        repository = await _repository_id(delete)
        blob_id = await delete.blobs.hold_link(repository, digest_of("a"))
        assert blob_id is not None
        pushing = await started_and_waiting(_in_repository(metadata, absent))
        await delete.blobs.unlink(repository, blob_id)

    assert list(await pushing) == [digest_of("a")]


async def test_a_blob_delete_does_not_wait_for_pushes_to_other_repositories(
    metadata: Metadata, database: RawDatabase, deletions: Deletions
) -> None:
    await push_blob(metadata, "a")
    await push_blob(metadata, "a", "team/other")
    async with half_a_unit(database) as push:
        other = await push.repositories.ensure("team/other", "team", ALICE)
        assert list(await push.blobs.absent_from(other.id, [digest_of("a")])) == []

        await asyncio.wait_for(deletions.delete_blob(_GRANT, digest_of("a")), 60)


async def test_a_blob_push_waits_for_a_delete_and_links_anew(
    metadata: Metadata, database: RawDatabase
) -> None:
    await push_blob(metadata, "a")
    async with half_a_unit(database) as delete:
        repository = await _repository_id(delete)
        blob_id = await delete.blobs.hold_link(repository, digest_of("a"))
        assert blob_id is not None
        held = blob_id
        linking = await started_and_waiting(
            _in_repository(metadata, lambda tx, repository: tx.blobs.link(repository, held, ALICE))
        )
        await delete.blobs.unlink(repository, blob_id)

    assert await linking is True
    assert await database.count("repository_blobs") == 1


async def test_i2_a_manifest_delete_waits_for_an_index_that_lists_it(
    metadata: Metadata, database: RawDatabase, deletions: Deletions
) -> None:
    child = await push_manifest(metadata, '{"child":1}', tag=None)
    async with half_a_unit(database) as push:
        repository = await _repository_id(push)
        assert list(await push.manifests.absent_from(repository, [child])) == []
        deleting = await started_and_waiting(deletions.delete_manifest(_GRANT, child))
        await push.manifests.put(new_manifest(repository, '{"index":1}', (_child(child),)))

    with pytest.raises(ContentInUseError):
        await deleting


async def test_i2_an_index_waits_for_the_delete_of_its_manifest_and_finds_it_missing(
    metadata: Metadata, database: RawDatabase
) -> None:
    child = await push_manifest(metadata, '{"child":1}', tag=None)

    async def absent(tx: Transaction, repository: int) -> Sequence[Digest]:
        return await tx.manifests.absent_from(repository, [child])

    async with half_a_unit(database) as delete:
        manifest_id = await delete.manifests.hold(await _repository_id(delete), child)
        assert manifest_id is not None
        pushing = await started_and_waiting(_in_repository(metadata, absent))
        await delete.manifests.condemn(manifest_id)

    assert list(await pushing) == [child]


async def test_a_push_of_a_manifest_waits_for_its_delete_and_revives_it(
    metadata: Metadata, database: RawDatabase
) -> None:
    digest = await push_manifest(metadata)

    async def push(tx: Transaction, repository: int) -> tuple[bool, Digest | None]:
        appeared = await tx.manifests.put(new_manifest(repository))
        return appeared, await tx.tags.put(repository, TAG, digest, ALICE)

    async with half_a_unit(database) as delete:
        repository = await _repository_id(delete)
        manifest_id = await delete.manifests.hold(repository, digest)
        assert manifest_id is not None
        await delete.manifests.condemn(manifest_id)
        assert list(await delete.tags.remove_all_of(repository, manifest_id, digest, ALICE)) == [TAG]
        pushing = await started_and_waiting(_in_repository(metadata, push))

    assert await pushing == (True, None)
    found = await metadata.manifests.find_by_tag(REPOSITORY, TAG)
    assert isinstance(found, StoredManifest)


async def test_a_delete_waits_for_a_push_of_the_same_manifest_and_takes_its_new_tag(
    metadata: Metadata, database: RawDatabase, deletions: Deletions
) -> None:
    digest = await push_manifest(metadata)
    async with half_a_unit(database) as push:
        repository = await _repository_id(push)
        assert await push.manifests.put(new_manifest(repository)) is False
        deleting = await started_and_waiting(deletions.delete_manifest(_GRANT, digest))
        await push.tags.put(repository, "v2", digest, ALICE)

    await deleting
    assert await database.count("tags") == 0
    removed = await database.fetch("SELECT name FROM tag_history WHERE digest IS NULL ORDER BY id")
    assert removed == [(TAG,), ("v2",)]


async def test_i4_a_tag_put_waits_for_its_delete_and_creates_it_anew(
    metadata: Metadata, database: RawDatabase
) -> None:
    await push_manifest(metadata)
    second = await push_manifest(metadata, '{"b":1}', tag=None)
    async with half_a_unit(database) as delete:
        await delete.tags.remove(await _repository_id(delete), TAG, ALICE)
        putting = await started_and_waiting(
            _in_repository(metadata, lambda tx, repository: tx.tags.put(repository, TAG, second, ALICE))
        )

    assert await putting is None
    found = await metadata.manifests.find_by_tag(REPOSITORY, TAG)
    assert isinstance(found, StoredManifest)
    assert found.digest == second


async def test_i5_a_manifest_delete_leaves_a_tag_that_moves_away(
    metadata: Metadata, database: RawDatabase, deletions: Deletions
) -> None:
    first = await push_manifest(metadata)
    second = await push_manifest(metadata, '{"b":1}', tag=None)
    async with half_a_unit(database) as push:
        await push.tags.put(await _repository_id(push), TAG, second, ALICE)
        deleting = await started_and_waiting(deletions.delete_manifest(_GRANT, first))

    await deleting
    found = await metadata.manifests.find_by_tag(REPOSITORY, TAG)
    assert isinstance(found, StoredManifest)
    assert found.digest == second


async def test_i4_a_tag_delete_waits_for_a_move_and_tells_where_the_tag_pointed_last(
    metadata: Metadata, database: RawDatabase, deletions: Deletions
) -> None:
    await push_manifest(metadata)
    second = await push_manifest(metadata, '{"b":1}', tag=None)
    async with half_a_unit(database) as push:
        await push.tags.put(await _repository_id(push), TAG, second, ALICE)
        deleting = await started_and_waiting(deletions.delete_tag(_GRANT, TagName.parse(TAG)))

    await deleting
    assert await database.count("tags") == 0
    last = await database.fetch("SELECT previous_digest FROM tag_history WHERE digest IS NULL")
    assert last == [(str(second),)]
