"""Projects on both engines: made, seen, changed and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.errors import AccessDeniedError, ProjectUnknownError
from entrepot.auth.grants import Grant, Push, SystemGrant
from entrepot.auth.principals import CredentialLimits
from entrepot.auth.project_actions import (
    CreateLabel,
    CreateRepository,
    DeleteProject,
    DeleteRepository,
    ReadProject,
    UpdateProject,
)
from entrepot.auth.system_actions import CreateProject, UpdateConfiguration
from entrepot.metadata.label_store import LabelText
from entrepot.metadata.project_store import ProjectQuery
from entrepot.oci.names import RepositoryName
from entrepot.projects.errors import MetadataInvalidError, ProjectExistsError, ProjectNotEmptyError
from entrepot.registry.repository_access import granted_repository
from tests.drivers.metadata.material import push_blob, push_manifest
from tests.drivers.metadata.projects.world import ALICE, BOB, NOBODY, named

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
    from tests.drivers.metadata.projects.world import World

_READ_X: Final = {"kind": "project", "namespace": "private", "access": ["project:read"]}


async def test_whoever_makes_a_project_owns_it_and_administers_it(world: World) -> None:
    number = await world.projects.create(
        SystemGrant(CreateProject, ALICE), "team", {"public": "True", "severity": "high"}
    )

    project = await world.projects.get(world.on(number, ReadProject))
    assert (project.name, project.owner_name, project.is_public) == ("team", "alice", True)
    assert (project.repository_creation, project.metadata) == ("operators", {"severity": "high"})
    assert await world.database.fetch("SELECT project_id, role, creator FROM role_assignments") == [
        (number, "project-admin", "id-alice")
    ]
    assert await world.changes("project.create") == [
        {"before": None, "after": {"public": "true", "severity": "high"}}
    ]


async def test_what_a_robot_makes_belongs_to_the_person_who_made_the_robot(world: World) -> None:
    await world.add_robot("builder", [])
    await world.database.fetch("UPDATE robots SET creator = 'id-bob'")

    number = await world.add_project("team", named("builder", "robot"))

    assert (await world.projects.get(world.on(number, ReadProject))).owner_name == "bob"


async def test_a_name_is_given_once_and_a_refusal_leaves_nothing_behind(world: World) -> None:
    await world.add_project("team")

    with pytest.raises(ProjectExistsError):
        await world.add_project("team", BOB)

    assert await world.database.value("SELECT count(*) FROM projects") == 1
    assert len(await world.records("project.create")) == 1


async def test_who_may_not_make_projects_may_when_everyone_may(world: World) -> None:
    with pytest.raises(AccessDeniedError):
        await world.projects.create(world.on_self(BOB), "team", {})
    await world.configurations.update(
        world.on_system(UpdateConfiguration), {"project_creation_restriction": "everyone"}
    )

    number = await world.projects.create(world.on_self(BOB), "team", {})

    assert (await world.projects.get(world.on(number, ReadProject))).owner_name == "bob"


@pytest.mark.parametrize(
    "principal",
    [
        named("bob", limits=CredentialLimits("t", permissions=frozenset({"repository:pull"}))),
        named("bob", limits=CredentialLimits("t", projects=frozenset({"team"}))),
        named("bob", "robot"),
    ],
)
async def test_a_weak_credential_makes_no_project_though_everyone_may_s15(
    world: World, principal: Principal
) -> None:
    await world.configurations.update(
        world.on_system(UpdateConfiguration), {"project_creation_restriction": "everyone"}
    )

    with pytest.raises(AccessDeniedError):
        await world.projects.create(world.on_self(principal), "team", {})


async def test_listings_are_filtered_sorted_and_paged(world: World) -> None:
    await world.give("alice", "operations-admin")
    for name, owner in (("a1", ALICE), ("b-2", BOB), ("a_3", ALICE)):
        await world.add_project(name, owner)
    assert await world.seen(ALICE, sort="-name") == ["b-2", "a_3", "a1"]
    assert await world.seen(ALICE, sort="id") == ["a1", "b-2", "a_3"]
    assert await world.seen(ALICE, sort="-id") == ["a_3", "b-2", "a1"]
    assert await world.seen(ALICE, name_part="_") == ["a_3"]
    assert await world.seen(ALICE, name_part="%") == []
    assert await world.seen(ALICE, name="a1") == ["a1"]
    assert await world.seen(ALICE, public=True) == []
    assert await world.seen(ALICE, owner="bob") == ["b-2"]
    assert await world.seen(ALICE, owner="nobody") == []
    sight = await world.visibility.sight(ALICE, ReadProject)
    page = await world.projects.list_visible(sight, ProjectQuery(limit=1, offset=1, sort="creation_time"))
    assert ([project.name for project in page.projects], page.total) == (["b-2"], 3)


async def test_what_decides_moves_the_epoch_and_what_does_not_leaves_it(world: World) -> None:
    number = await world.add_project("team")
    begun = await world.epoch(number)

    await world.projects.update(world.on(number, UpdateProject), {"severity": "high", "public": "false"})
    assert await world.epoch(number) == begun
    await world.projects.update(world.on(number, UpdateProject), {"public": "true"})
    assert await world.epoch(number) == begun + 1
    await world.projects.update(world.on(number, UpdateProject), {"repository_creation": "developers"})
    assert await world.epoch(number) == begun + 2

    assert await world.changes("project.update") == [
        {"before": {"severity": None, "public": "false"}, "after": {"severity": "high", "public": "false"}},
        {"before": {"public": "false"}, "after": {"public": "true"}},
        {"before": {"repository_creation": "operators"}, "after": {"repository_creation": "developers"}},
    ]


async def test_unknown_metadata_change_nothing_s8(world: World) -> None:
    number = await world.add_project("team")

    with pytest.raises(MetadataInvalidError):
        await world.projects.update(world.on(number, UpdateProject), {"public": "true", "owner_id": "7"})

    assert (await world.projects.get(world.on(number, ReadProject))).is_public is False


async def test_a_project_with_repositories_stays(world: World) -> None:
    number = await world.add_project("team")
    await world.repositories.create(world.on(number, CreateRepository), "app")

    assert await world.projects.count_obstacles(world.on(number, DeleteProject)) == 1
    with pytest.raises(ProjectNotEmptyError) as caught:
        await world.projects.delete(world.on(number, DeleteProject))
    assert caught.value.repositories == 1

    await world.repositories.delete(world.on(number, DeleteRepository), "app")
    await world.projects.delete(world.on(number, DeleteProject))
    with pytest.raises(ProjectUnknownError):
        await world.projects.get(world.on(number, ReadProject))


async def test_a_deleted_project_takes_along_what_belongs_to_it_s7(world: World) -> None:
    number = await world.add_project("team", severity="high")
    other = await world.add_project("other", severity="high")
    await world.labels.create(world.on(number, CreateLabel), LabelText("red"))
    await world.add_robot("robot$team+ci", [], number)
    await world.add_robot("far", [_READ_X, {**_READ_X, "namespace": "team"}])

    await world.projects.delete(world.on(number, DeleteProject))

    for table in ("labels", "role_assignments", "project_metadata"):
        assert await world.database.value(f"SELECT count(*) FROM {table} WHERE project_id = {number}") == 0
    assert (
        await world.database.value(f"SELECT count(*) FROM role_assignments WHERE project_id = {other}") == 1
    )
    robots = await world.database.fetch("SELECT subject_id, permissions FROM robots")
    assert [bytes(permissions) for _, permissions in robots] == [
        b'[{"kind":"project","namespace":"private","access":["project:read"]}]'
    ]
    assert await world.database.value("SELECT count(*) FROM subjects WHERE name = 'robot$team+ci'") == 0
    moved = await world.database.fetch("SELECT epoch FROM subjects WHERE kind = 'robot' ORDER BY id")
    assert moved == [(1,), (1,)]
    assert await world.changes("project.delete") == [
        {
            "before": {"public": "false", "repository_creation": "operators", "severity": "high"},
            "after": None,
        }
    ]


async def test_the_next_project_of_a_name_is_another_one_s14(world: World) -> None:
    first = await world.add_project("team", public="true")
    await world.projects.update(world.on(first, UpdateProject), {"public": "false"})
    await world.projects.delete(world.on(first, DeleteProject))
    gone = await world.database.fetch("SELECT name, epoch FROM projects WHERE epoch_changed_at IS NOT NULL")
    assert gone == [("team", 3)]  # seen to move by whoever watches, under the name that tokens carry

    assert await world.seen(ALICE) == []

    second = await world.add_project("team", BOB)

    assert second != first
    assert await world.epoch(second) == 4
    assert await world.database.value("SELECT count(*) FROM projects WHERE name = 'team'") == 1
    with pytest.raises(ProjectUnknownError):
        await world.projects.get(world.on(first, ReadProject))
    with pytest.raises(ProjectUnknownError):
        await world.projects.delete(world.on(first, DeleteProject))
    assert await world.seen(ALICE) == []


async def test_no_push_of_an_account_makes_a_project_again(world: World) -> None:
    number = await world.add_project("team")
    name = RepositoryName.parse("team/app")
    await world.projects.delete(world.on(number, DeleteProject))

    with pytest.raises(ProjectUnknownError):
        await world.metadata.write(
            lambda tx: granted_repository(tx, Grant(Push, name, ALICE, may_create=True))
        )
    assert await world.database.value("SELECT count(*) FROM repositories") == 0

    # Without accounts a push makes both, and what was issued for the old project is worth nothing with the new one.
    await world.metadata.write(lambda tx: granted_repository(tx, Grant(Push, name, NOBODY, may_create=True)))
    rows = await world.database.fetch(
        "SELECT p.id, p.epoch FROM repositories r JOIN projects p ON p.id = r.project_id WHERE p.name = 'team'"
    )
    assert [(project == number, epoch) for project, epoch in rows] == [(False, 3)]


async def test_a_push_of_an_account_makes_a_repository_where_it_may(world: World) -> None:
    number = await world.add_project("team")
    grant = Grant(Push, RepositoryName.parse("team/app"), ALICE, may_create=True)

    row = await world.metadata.write(lambda tx: granted_repository(tx, grant))

    assert row.created is True
    assert await world.database.fetch("SELECT project_id, name FROM repositories") == [(number, "team/app")]


async def test_a_summary_counts_members_by_role_and_each_live_blob_once(world: World) -> None:
    number = await world.add_project("team")
    await world.add_project("other")
    await push_blob(world.metadata, "12345", "team/app")
    await push_blob(world.metadata, "12345", "team/web")
    await push_blob(world.metadata, "123", "team/gone")
    await push_blob(world.metadata, "1234567", "other/app")
    await push_manifest(world.metadata, repository="team/gone")
    await world.repositories.delete(world.on(number, DeleteRepository), "gone")

    summary = await world.projects.summarize(world.on(number, ReadProject))

    assert summary.repository_count == 2
    assert summary.members_by_role == {"project-admin": 1}
    assert (summary.used_bytes, summary.storage_limit_bytes) == (5, -1)
