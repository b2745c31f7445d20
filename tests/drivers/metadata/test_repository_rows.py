"""Repositories come into being with the first unit that writes to them, and their projects with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.drivers.metadata.material import ALICE, BOB, REPOSITORY, push_blob

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def test_a_repository_is_made_once_with_its_project(metadata: Metadata, database: RawDatabase) -> None:
    first = await metadata.write(lambda tx: tx.repositories.ensure(REPOSITORY, "team", ALICE))
    again = await metadata.write(lambda tx: tx.repositories.ensure(REPOSITORY, "team", BOB))
    sibling = await metadata.write(lambda tx: tx.repositories.ensure("team/web", "team", BOB))

    assert (first.created, again.created, sibling.created) == (True, False, True)
    assert first.id == again.id != sibling.id
    assert await database.fetch("SELECT name, creator FROM projects") == [("team", ALICE)]
    rows = await database.fetch(
        "SELECT r.name, p.name, r.creator FROM repositories r JOIN projects p ON p.id = r.project_id ORDER BY 1"
    )
    assert rows == [(REPOSITORY, "team", ALICE), ("team/web", "team", BOB)]


async def test_finding_makes_nothing(metadata: Metadata, database: RawDatabase) -> None:
    assert await metadata.write(lambda tx: tx.repositories.find(REPOSITORY)) is None
    made = await metadata.write(lambda tx: tx.repositories.ensure(REPOSITORY, "team", ALICE))

    found = await metadata.write(lambda tx: tx.repositories.find(REPOSITORY))
    assert found is not None
    assert (found.id, found.name, found.created) == (made.id, REPOSITORY, False)
    assert await database.value("SELECT count(*) FROM repositories") == 1


async def test_the_name_of_a_deleted_repository_is_free(metadata: Metadata, database: RawDatabase) -> None:
    await push_blob(metadata, "blob")
    await database.fetch("UPDATE repositories SET deleted_at = 1")

    row = await metadata.write(lambda tx: tx.repositories.ensure(REPOSITORY, "team", ALICE))

    assert row.created is True
    assert await database.value("SELECT count(*) FROM repositories") == 2


async def test_times_come_from_the_database_in_milliseconds(
    metadata: Metadata, database: RawDatabase
) -> None:
    """F27: a node's own clock takes no part."""
    await push_blob(metadata, "blob")

    for moment in (
        "SELECT created_at FROM repositories",
        "SELECT created_at FROM blobs",
        "SELECT linked_at FROM repository_blobs",
    ):
        stored = await database.value(moment)
        assert 1_600_000_000_000 < stored < 4_000_000_000_000
