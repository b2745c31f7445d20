"""Projects that belong to nobody find somebody who answers for them, whatever made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.people import adoption
from entrepot.auth.people.adoption import adopt_projects
from tests.drivers.metadata.identity_rows import IdentityRows

if TYPE_CHECKING:
    import pytest

    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase
    from tests.integration.people.conftest import Office

_OWNERS: Final = """
    SELECT p.name, s.name, p.is_public, p.epoch FROM projects p LEFT JOIN subjects s ON s.id = p.owner_id
    ORDER BY p.name
"""
_MEMBERS: Final = """
    SELECT s.name, a.role, p.name FROM role_assignments a JOIN projects p ON p.id = a.project_id
    JOIN subjects s ON s.id = a.subject_id ORDER BY p.name, s.name
"""


async def _made_on_the_host(metadata: Metadata, *names: str) -> None:
    for name in names:
        await metadata.write(lambda tx, name=name: tx.repositories.ensure(f"{name}/app", name, "host:root"))  # type: ignore[misc]  # a unit


async def test_what_the_host_makes_is_the_first_administrators_and_private(office: Office) -> None:
    """Its epoch moves, since there are other rights now, and each has a record in the same unit (I11)."""
    await _made_on_the_host(office.metadata, "one", "two")

    adopted = await adopt_projects(office.metadata)

    assert adopted == 2
    assert await office.database.fetch(_OWNERS) == [("one", "admin", 0, 1), ("two", "admin", 0, 1)]
    assert await office.database.fetch(_MEMBERS) == [
        ("admin", "project-admin", "one"),
        ("admin", "project-admin", "two"),
    ]
    assert [record for record in await office.records() if record[0] == "project.update"] == [
        ("project.update", "success", "one"),
        ("project.update", "success", "two"),
    ]
    assert await adopt_projects(office.metadata) == 0


async def test_however_many_there_are_every_one_is_adopted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_BATCH", 2)
    await _made_on_the_host(office.metadata, "a", "b", "c", "d", "e")

    assert await adopt_projects(office.metadata) == 5


async def test_a_public_project_whose_owner_left_stays_public_and_keeps_its_members(office: Office) -> None:
    alice = await office.make("alice")
    bob = await office.make("bob")
    await _made_on_the_host(office.metadata, "team")
    await office.database.fetch(f"UPDATE projects SET is_public = 1, owner_id = {alice.id}")
    await office.database.fetch(
        "INSERT INTO role_assignments (subject_id, project_id, role, created_at, creator) "
        f"SELECT {bob.id}, id, 'developer', 1, 'x' FROM projects"
    )
    await office.people.delete(office.grant(), alice.id)

    await adopt_projects(office.metadata)

    assert [row[:3] for row in await office.database.fetch(_OWNERS)] == [("team", "admin", 1)]
    assert await office.database.fetch(_MEMBERS) == [
        ("admin", "project-admin", "team"),
        ("bob", "developer", "team"),
    ]


async def test_a_deleted_project_is_not_adopted_and_one_with_an_owner_stays_theirs(office: Office) -> None:
    alice = await office.make("alice")
    await _made_on_the_host(office.metadata, "gone", "hers")
    await office.database.fetch("UPDATE projects SET deleted_at = 1 WHERE name = 'gone'")
    await office.database.fetch(f"UPDATE projects SET owner_id = {alice.id} WHERE name = 'hers'")

    assert await adopt_projects(office.metadata) == 0
    assert [row[:2] for row in await office.database.fetch(_OWNERS)] == [("gone", None), ("hers", "alice")]


async def test_without_admin_it_is_whoever_administers_the_longest_and_is_not_disabled(
    office: Office,
) -> None:
    for name in ("alice", "bob"):
        person = await office.make(name)
        await office.administrators.make(office.grant(), person.id)
    admin, alice = [await office.metadata.users.find_named(name) for name in ("admin", "alice")]
    assert admin is not None
    assert alice is not None
    await office.database.fetch(f"UPDATE subjects SET disabled_at = 1 WHERE id IN ({admin.id}, {alice.id})")
    await _made_on_the_host(office.metadata, "team")

    await adopt_projects(office.metadata)

    assert [row[:2] for row in await office.database.fetch(_OWNERS)] == [("team", "bob")]


async def test_before_there_are_people_nothing_happens(metadata: Metadata, database: RawDatabase) -> None:
    await _made_on_the_host(metadata, "team")

    assert await adopt_projects(metadata) == 0
    assert [row[:2] for row in await database.fetch(_OWNERS)] == [("team", None)]


async def test_who_administers_by_a_group_alone_adopts_as_well(office: Office) -> None:
    """Not one who is disabled, nor by a group that is."""
    rows = IdentityRows(office.database)
    await office.database.fetch("DELETE FROM role_assignments")
    closed, gone = await rows.group("closed", await rows.user("abe")), await rows.user("gone")
    for holder in (closed, await rows.group("ops", gone, await rows.user("bob"))):
        await rows.give(holder, "operations-admin")
    for disabled in (closed, gone):
        await rows.disable(disabled)
    await _made_on_the_host(office.metadata, "one")

    assert await adopt_projects(office.metadata) == 1
    assert await office.database.fetch(_OWNERS) == [("one", "bob", 0, 1)]
