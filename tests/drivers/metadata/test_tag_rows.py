"""Tags: where they point, what history they leave, and how they are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.errors import UnknownManifestError
from entrepot.metadata.records import Missing, NamePage, StoredManifest
from tests.drivers.metadata.material import (
    ALICE,
    BOB,
    REPOSITORY,
    TAG,
    digest_of,
    project_number,
    push_manifest,
    tag_manifest,
)

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

_HISTORY = "SELECT name, digest, previous_digest, actor FROM tag_history ORDER BY id"


async def test_a_new_tag_pointed_at_nothing_before(metadata: Metadata, database: RawDatabase) -> None:
    digest = await push_manifest(metadata, tag=None)

    assert await tag_manifest(metadata, TAG, digest) is None
    assert await database.fetch(_HISTORY) == [(TAG, str(digest), None, ALICE)]


async def test_a_moved_tag_tells_and_remembers_what_it_pointed_at(
    metadata: Metadata, database: RawDatabase
) -> None:
    first = await push_manifest(metadata, '{"a":1}')
    second = await push_manifest(metadata, '{"b":1}', tag=None)

    assert await tag_manifest(metadata, TAG, second, actor=BOB) == first
    found = await metadata.manifests.find_by_tag(REPOSITORY, TAG)
    assert isinstance(found, StoredManifest)
    assert found.digest == second
    assert await database.fetch(_HISTORY) == [
        (TAG, str(first), None, ALICE),
        (TAG, str(second), str(first), BOB),
    ]
    assert await database.fetch("SELECT updated_by FROM tags") == [(BOB,)]


async def test_i7_pointing_a_tag_where_it_points_changes_nothing(
    metadata: Metadata, database: RawDatabase
) -> None:
    digest = await push_manifest(metadata)
    before = await database.fetch("SELECT * FROM tags")

    assert await tag_manifest(metadata, TAG, digest, actor=BOB) == digest
    assert await database.fetch("SELECT * FROM tags") == before
    assert len(await database.fetch(_HISTORY)) == 1


async def test_a_tag_can_not_point_outside_its_repository(metadata: Metadata, database: RawDatabase) -> None:
    foreign = await push_manifest(metadata, repository="team/other")

    for digest in (foreign, digest_of("none")):
        with pytest.raises(UnknownManifestError) as caught:
            await tag_manifest(metadata, TAG, digest)
        assert caught.value.digest == str(digest)
    assert await database.value("SELECT count(*) FROM tags") == 1


async def test_names_come_in_byte_order_page_by_page(metadata: Metadata) -> None:
    digest = await push_manifest(metadata, tag=None)
    names = ["10", "2", "A", "Z", "_a", "a", "a-b", "a.b", "b"]

    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        for name in reversed(names):
            await tx.tags.put(row.id, name, digest, ALICE)

    await metadata.write(unit)

    in_byte_order = tuple(sorted(names, key=str.encode))
    project = await project_number(metadata)
    assert await metadata.tags.list_names(REPOSITORY, "", 100) == NamePage(
        in_byte_order, more=False, project_id=project
    )
    assert await metadata.tags.list_names(REPOSITORY, "", 9) == NamePage(
        in_byte_order, more=False, project_id=project
    )
    assert await metadata.tags.list_names(REPOSITORY, "", 4) == NamePage(
        in_byte_order[:4], more=True, project_id=project
    )
    assert await metadata.tags.list_names(REPOSITORY, "Z", 2) == NamePage(
        ("_a", "a"), more=True, project_id=project
    )
    assert await metadata.tags.list_names(REPOSITORY, "aa", 5) == NamePage(
        ("b",), more=False, project_id=project
    )
    assert await metadata.tags.list_names(REPOSITORY, "b", 5) == NamePage((), more=False, project_id=project)


async def test_a_page_of_none_still_tells_whether_there_are_more(metadata: Metadata) -> None:
    await push_manifest(metadata)

    assert await metadata.tags.list_names(REPOSITORY, "", 0) == NamePage(
        (), more=True, project_id=await project_number(metadata)
    )
    assert await metadata.tags.list_names(REPOSITORY, TAG, 0) == NamePage(
        (), more=False, project_id=await project_number(metadata)
    )


async def test_an_empty_repository_is_told_from_an_unknown_one(metadata: Metadata) -> None:
    await push_manifest(metadata, tag=None)
    await push_manifest(metadata, repository="team/other")

    assert await metadata.tags.list_names(REPOSITORY, "", 10) == NamePage(
        (), more=False, project_id=await project_number(metadata)
    )
    assert await metadata.tags.list_names("team/none", "", 10) is Missing.REPOSITORY


async def test_a_removed_tag_tells_where_it_pointed_and_leaves_history(
    metadata: Metadata, database: RawDatabase
) -> None:
    digest = await push_manifest(metadata)

    async def unit(tx: Transaction) -> tuple[object, object]:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        return await tx.tags.remove(row.id, TAG, BOB), await tx.tags.remove(row.id, TAG, BOB)

    assert await metadata.write(unit) == (digest, None)
    assert await metadata.tags.list_names(REPOSITORY, "", 10) == NamePage(
        (), more=False, project_id=await project_number(metadata)
    )
    assert await database.fetch(_HISTORY) == [
        (TAG, str(digest), None, ALICE),
        (TAG, None, str(digest), BOB),
    ]


async def test_all_tags_of_a_manifest_are_removed_and_no_others(
    metadata: Metadata, database: RawDatabase
) -> None:
    first = await push_manifest(metadata, '{"a":1}', tag="b")
    await tag_manifest(metadata, "a", first)
    second = await push_manifest(metadata, '{"b":1}', tag="c")

    async def unit(tx: Transaction) -> list[str]:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        manifest_id = await tx.manifests.hold(row.id, first)
        assert manifest_id is not None
        removed = await tx.tags.remove_all_of(row.id, manifest_id, first, BOB)
        assert list(await tx.tags.remove_all_of(row.id, manifest_id, first, BOB)) == []
        return list(removed)

    assert await metadata.write(unit) == ["a", "b"]
    assert await metadata.tags.list_names(REPOSITORY, "", 10) == NamePage(
        ("c",), more=False, project_id=await project_number(metadata)
    )
    assert await database.fetch(_HISTORY) == [
        ("b", str(first), None, ALICE),
        ("a", str(first), None, ALICE),
        ("c", str(second), None, ALICE),
        ("a", None, str(first), BOB),
        ("b", None, str(first), BOB),
    ]
