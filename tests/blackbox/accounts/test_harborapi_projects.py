"""harborapi's calls about projects, their metadata and their members, each seen again by another path than its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import pytest
from harborapi.exceptions import Conflict, Forbidden, NotFound, PreconditionFailed
from harborapi.models import Label, ProjectMember, ProjectMetadata, ProjectReq, RoleRequest, UserEntity

from tests.blackbox.clients.program import ClientFailedError
from tests.running.control_client import Account
from tests.running.with_accounts import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable

    from harborapi import HarborAsyncClient

    from tests.blackbox.accounts.conftest import Look, Team
    from tests.blackbox.clients.signed_in import SkopeoAs
    from tests.running.control_client import ControlClient

_numbers: Final = itertools.count(1)
# What was deleted keeps its row, and its name until somebody takes it.
_PROJECT: Final = (
    "SELECT id, is_public, repository_creation FROM projects WHERE name = :name AND deleted_at IS NULL"
)
_METADATA: Final = (
    "SELECT m.name, m.value FROM project_metadata m JOIN projects p ON p.id = m.project_id"
    " WHERE p.name = :name"
)
_MEMBERS: Final = (
    "SELECT a.id, s.name, a.role FROM role_assignments a JOIN subjects s ON s.id = a.subject_id"
    " JOIN projects p ON p.id = a.project_id WHERE p.name = :name ORDER BY a.id"
)


@pytest.fixture
def name() -> str:
    """Return a name that no project has."""
    return f"harbor.{next(_numbers)}"


async def test_a_project_is_made_and_found_by_name_and_number(
    harbor: HarborAsyncClient, look: Look, name: str
) -> None:
    """The location holds the name, as harborapi asks for; the administrator is its owner and project admin."""
    location = await harbor.create_project(ProjectReq(project_name=name))

    assert location == f"/api/v2.0/projects/{name}"
    ((project_id, is_public, creation),) = look(_PROJECT, name=name)
    assert (is_public, creation) == (0, "operators")
    assert [row[1:] for row in look(_MEMBERS, name=name)] == [("admin", "project-admin")]
    for asked in (name, project_id):
        found = await harbor.get_project(asked)
        assert (found.project_id, found.name, found.owner_name) == (project_id, name, "admin")
        assert found.metadata is not None
        assert found.metadata.public == "false"
    with pytest.raises(Conflict):
        await harbor.create_project(ProjectReq(project_name=name))


async def test_a_public_project_is_pulled_from_by_everybody(
    harbor: HarborAsyncClient, make_team: Callable[..., Team], skopeo_as: Callable[[None], SkopeoAs]
) -> None:
    """Made private, and seen so by a client without a name; made public by an update, and pulled from (S2)."""
    team = make_team()
    nobody = skopeo_as(None)
    with pytest.raises(ClientFailedError, match=r"access to the resource is denied"):
        nobody.pull(team.repository, "1")

    await harbor.update_project(team.name, ProjectReq(metadata=ProjectMetadata(public="true")))

    nobody.pull(team.repository, "1")


async def test_projects_are_listed_over_all_pages_and_by_name(
    harbor: HarborAsyncClient, look: Look, name: str
) -> None:
    """More than a page: harborapi follows Link, so nothing is missing and nothing comes twice."""
    for number in range(12):
        await harbor.create_project(ProjectReq(project_name=f"{name}-{number}"))

    everything = await harbor.get_projects(page_size=5)
    chosen = await harbor.get_projects(query=f"name=~{name}-", sort="-name", page_size=5)

    stored = [row[0] for row in look("SELECT name FROM projects WHERE deleted_at IS NULL")]
    assert sorted(str(project.name) for project in everything) == sorted(stored)
    assert [project.name for project in chosen] == sorted(
        (f"{name}-{number}" for number in range(12)), reverse=True
    )


async def test_a_project_exists_until_it_is_deleted(harbor: HarborAsyncClient, look: Look, name: str) -> None:
    assert not await harbor.project_exists(name)
    await harbor.create_project(ProjectReq(project_name=name))
    assert await harbor.project_exists(name)
    assert (await harbor.get_project_deletable(name)).deletable is True

    await harbor.delete_project(name)

    assert look(_PROJECT, name=name) == []
    assert not await harbor.project_exists(name)
    with pytest.raises((NotFound, Forbidden)):
        await harbor.get_project(name)


async def test_a_project_that_holds_a_repository_is_not_deleted(
    harbor: HarborAsyncClient, team: Team
) -> None:
    """412; the image is still there."""
    assert (await harbor.get_project_deletable(team.name)).deletable is False

    with pytest.raises(PreconditionFailed):
        await harbor.delete_project(team.name)

    assert team.tags() == ["1"]


async def test_a_summary_counts_repositories_and_members(harbor: HarborAsyncClient, team: Team) -> None:
    """One of each role that the tests give, and the administrator who made the project."""
    summary = await harbor.get_project_summary(team.name)

    assert (summary.repo_count, summary.project_admin_count, summary.maintainer_count) == (1, 2, 1)
    assert (summary.developer_count, summary.guest_count, summary.limited_guest_count) == (1, 1, 0)
    assert summary.quota is not None


async def test_metadata_is_set_read_changed_and_deleted(
    harbor: HarborAsyncClient, look: Look, name: str
) -> None:
    """As a whole and by single names; what is a column of ours is in the column."""
    await harbor.create_project(ProjectReq(project_name=name))

    await harbor.set_project_metadata(name, ProjectMetadata(reuse_sys_cve_allowlist="true"))
    assert ("reuse_sys_cve_allowlist", "true") in look(_METADATA, name=name)
    entry = ProjectMetadata(reuse_sys_cve_allowlist="false")
    await harbor.update_project_metadata_entry(name, "reuse_sys_cve_allowlist", entry)
    assert ("reuse_sys_cve_allowlist", "false") in look(_METADATA, name=name)
    await harbor.update_project_metadata_entry(name, "public", ProjectMetadata(public="true"))
    assert look(_PROJECT, name=name)[0][1] == 1

    assert (await harbor.get_project_metadata(name)).reuse_sys_cve_allowlist == "false"
    assert await harbor.get_project_metadata_entry(name, "public") == {"public": "true"}
    await harbor.delete_project_metadata_entry(name, "reuse_sys_cve_allowlist")
    assert look(_METADATA, name=name) == []


async def test_people_and_groups_become_members_change_role_and_leave(
    harbor: HarborAsyncClient, look: Look, control: ControlClient, name: str
) -> None:
    """By name, by number and by the whole document; a row of the database for each, and listed by name."""
    await harbor.create_project(ProjectReq(project_name=name))
    people = [Account(f"{name}.{number}", PASSWORD) for number in range(3)]
    numbers = [control.create_user(person) for person in people]
    group = control.call("POST", "/usergroups", {"group_name": name, "group_type": 2}, status=201).created_id

    first = await harbor.add_project_member_user(name, people[0].name, 2)
    await harbor.add_project_member_user(name, numbers[1], 3)
    document = ProjectMember(role_id=4, member_user=UserEntity(username=people[2].name))
    await harbor.add_project_member(name, document)
    await harbor.add_project_member_group(name, group, 5)

    assert [row[1:] for row in look(_MEMBERS, name=name)] == [
        ("admin", "project-admin"),
        (people[0].name, "developer"),
        (people[1].name, "guest"),
        (people[2].name, "team-lead"),
        (name, "limited-guest"),
    ]
    members = await harbor.get_project_members(name, page_size=2)
    assert [(member.entity_name, member.role_id, member.entity_type) for member in members] == [
        ("admin", 1, "u"),
        (name, 5, "g"),
        (people[0].name, 2, "u"),
        (people[1].name, 3, "u"),
        (people[2].name, 4, "u"),
    ]

    member_id = int(first.rpartition("/")[2])
    assert (await harbor.get_project_member(name, member_id)).entity_id == numbers[0]
    await harbor.update_project_member_role(name, member_id, RoleRequest(role_id=4))
    assert (member_id, people[0].name, "team-lead") in look(_MEMBERS, name=name)
    await harbor.remove_project_member(name, member_id)
    assert member_id not in {row[0] for row in look(_MEMBERS, name=name)}
    with pytest.raises(NotFound):
        await harbor.get_project_member(name, member_id)


async def test_s7_a_member_of_another_project_is_not_found(
    harbor: HarborAsyncClient, look: Look, make_team: Callable[..., Team]
) -> None:
    """Nor changed, nor removed, by whoever may do all that in both."""
    mine, other = make_team(), make_team()
    before = look(_MEMBERS, name=other.name)

    for member_id, *_ in before:
        with pytest.raises(NotFound):
            await harbor.get_project_member(mine.name, member_id)
        with pytest.raises(NotFound):
            await harbor.update_project_member_role(mine.name, member_id, 1)
        with pytest.raises(NotFound):
            await harbor.remove_project_member(mine.name, member_id)

    assert look(_MEMBERS, name=other.name) == before


async def test_labels_of_a_project_and_of_the_system(
    harbor: HarborAsyncClient, look: Look, make_team: Callable[..., Team]
) -> None:
    """Made, listed by scope, changed, deleted."""
    team = make_team()
    ((project_id, *_),) = look(_PROJECT, name=team.name)
    stored = "SELECT name, description, color, project_id FROM labels WHERE id = :id"

    label_id = await _create_label(harbor, name=f"stable-{team.name}", scope="p", project_id=project_id)
    global_id = await _create_label(harbor, name=f"reviewed-{team.name}", scope="g")

    assert look(stored, id=label_id) == [(f"stable-{team.name}", "", "", project_id)]
    assert look(stored, id=global_id) == [(f"reviewed-{team.name}", "", "", None)]
    assert [label.id for label in await harbor.get_labels(scope="p", project_id=project_id)] == [label_id]
    assert global_id in [label.id for label in await harbor.get_labels(scope="g")]

    label = await harbor.get_label(label_id)
    label.description, label.color = "may be deployed", "#00AB9A"
    await harbor.update_label(label_id, label)
    assert look(stored, id=label_id) == [(f"stable-{team.name}", "may be deployed", "#00AB9A", project_id)]
    await harbor.delete_label(label_id)
    assert look(stored, id=label_id) == []
    with pytest.raises(NotFound):
        await harbor.get_label(label_id)


async def _create_label(harbor: HarborAsyncClient, **fields: object) -> int:
    location = await harbor.create_label(Label.model_validate(fields))
    return int(location.rpartition("/")[2])
