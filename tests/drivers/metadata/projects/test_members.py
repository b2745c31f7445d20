"""Members on both engines: who becomes one, with which role, by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.errors import AccessDeniedError, ProjectUnknownError
from entrepot.auth.project_actions import (
    CreateMember,
    DeleteMember,
    DeleteProject,
    ListMember,
    ReadMember,
    UpdateMember,
)
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.projects.errors import (
    MemberExistsError,
    MemberNeededError,
    MemberUnknownError,
    RoleBeyondOwnError,
    RoleNotAssignableError,
    SubjectUnknownError,
)
from tests.drivers.metadata.identity_rows import IdentityRows
from tests.drivers.metadata.projects.world import ALICE, BOB

if TYPE_CHECKING:
    from entrepot.metadata.member_store import MemberKind
    from tests.drivers.metadata.projects.world import World

_PROJECT_ADMIN: Final = 1
_DEVELOPER: Final = 2
_GUEST: Final = 3


async def test_a_member_is_added_changed_and_removed_and_each_time_the_epoch_moves(world: World) -> None:
    project = await world.add_project("team")
    begun = await world.epoch(project)

    number = await world.members.add(world.on(project, CreateMember), "user", "bob", _GUEST)
    await world.members.change_role(world.on(project, UpdateMember), number, _DEVELOPER)
    member = await world.members.get(world.on(project, ReadMember), number)
    await world.members.remove(world.on(project, DeleteMember), number)

    assert (member.name, member.kind, member.role.role_id, member.role.label) == (
        "bob",
        "user",
        2,
        "developer",
    )
    assert await world.epoch(project) == begun + 3
    assert await world.changes("member.create") == [
        {"before": None, "after": {"kind": "user", "role": "guest"}}
    ]
    assert await world.changes("member.update") == [
        {"before": {"kind": "user", "role": "guest"}, "after": {"kind": "user", "role": "developer"}}
    ]
    assert await world.changes("member.delete") == [
        {"before": {"kind": "user", "role": "developer"}, "after": None}
    ]


async def test_what_members_do_to_themselves_names_them_only_as_who_acts_i11(world: World) -> None:
    """Also beside a group of the same name, whose name is no person's."""
    project = await world.add_project("team")
    await world.add_subject("carol")
    await world.add_subject("crew", "group")
    await world.database.fetch("UPDATE subjects SET name = 'bob' WHERE name = 'crew'")

    kinds: tuple[MemberKind, ...] = ("user", "group")
    for kind in kinds:
        await world.members.add(world.on(project, CreateMember, principal=BOB), kind, "bob", _GUEST)
    await world.members.add(world.on(project, CreateMember, principal=BOB), "user", "carol", _GUEST)

    named = [record["object"]["name"] for record in await world.records("member.create")]
    assert named == ["", "bob", "carol"]


async def test_groups_are_members_by_number_and_by_name(world: World) -> None:
    project = await world.add_project("team")
    crew = await world.add_subject("crew", "group")

    await world.members.add(world.on(project, CreateMember), "group", crew, 4)
    with pytest.raises(MemberExistsError):
        await world.members.add(world.on(project, CreateMember), "group", "crew", _GUEST)

    page = await world.members.list_page(world.on(project, ListMember), "", 10, 0)
    assert [(member.name, member.kind, member.role.name) for member in page.members] == [
        ("alice", "user", "project-admin"),
        ("crew", "group", "team-lead"),
    ]
    filtered = await world.members.list_page(world.on(project, ListMember), "rew", 10, 0)
    assert ([member.name for member in filtered.members], filtered.total) == (["crew"], 1)
    second = await world.members.list_page(world.on(project, ListMember), "", 1, 1)
    assert ([member.name for member in second.members], second.total) == (["crew"], 2)


async def test_who_is_not_there_becomes_no_member(world: World) -> None:
    project = await world.add_project("team")
    absent: tuple[tuple[MemberKind, str | int], ...] = (("user", "nobody"), ("group", "bob"), ("user", 0))

    for kind, subject in absent:
        with pytest.raises(SubjectUnknownError):
            await world.members.add(world.on(project, CreateMember), kind, subject, _GUEST)


async def test_who_is_disabled_becomes_no_member(world: World) -> None:
    project = await world.add_project("team")
    await world.database.fetch("UPDATE subjects SET disabled_at = 1 WHERE name = 'bob'")

    with pytest.raises(SubjectUnknownError):
        await world.members.add(world.on(project, CreateMember), "user", "bob", _GUEST)


async def test_a_member_of_another_project_is_unknown_here_s7(world: World) -> None:
    project, other = await world.add_project("team"), await world.add_project("other", BOB)
    number = await world.members.add(world.on(other, CreateMember), "user", "alice", _GUEST)

    with pytest.raises(MemberUnknownError):
        await world.members.get(world.on(project, ReadMember), number)
    with pytest.raises(MemberUnknownError):
        await world.members.change_role(world.on(project, UpdateMember), number, _PROJECT_ADMIN)
    with pytest.raises(MemberUnknownError):
        await world.members.remove(world.on(project, DeleteMember), number)

    assert (await world.members.get(world.on(other, ReadMember), number)).role.name == "guest"


async def test_roles_that_are_none_of_a_project_are_not_given(world: World) -> None:
    project = await world.add_project("team")

    for role_id in (0, 7, 99, 1000, 1001):
        with pytest.raises(RoleNotAssignableError):
            await world.members.add(world.on(project, CreateMember), "user", "bob", role_id)


async def test_custom_roles_of_projects_are_given_by_their_number(world: World) -> None:
    project = await world.add_project("team")
    permissions = '["repository:pull"]'
    literal = (
        f"CAST('{permissions}' AS BLOB)"
        if world.database.is_sqlite
        else f"convert_to('{permissions}', 'UTF8')"
    )
    for name, level in (("puller", "project"), ("watcher", "system")):
        await world.database.fetch(
            "INSERT INTO roles (name, level, permissions, created_at, updated_at) "
            f"VALUES ('{name}', '{level}', {literal}, 1, 1)"
        )
    puller = 1000 + await world.database.value("SELECT id FROM roles WHERE name = 'puller'")
    watcher = 1000 + await world.database.value("SELECT id FROM roles WHERE name = 'watcher'")

    number = await world.members.add(world.on(project, CreateMember), "user", "bob", puller)
    with pytest.raises(RoleNotAssignableError):
        await world.members.change_role(world.on(project, UpdateMember), number, watcher)

    member = await world.members.get(world.on(project, ReadMember), number)
    assert (member.role.role_id, member.role.name) == (puller, "puller")


async def test_names_that_no_version_here_knows_keep_nobody_from_giving_or_taking_a_role(
    world: World,
) -> None:
    """Nobody can hold them, and they permit nothing."""
    project = await world.add_project("team")
    rows = IdentityRows(world.database)
    later = 1000 + await rows.custom_role("later", "project", ["repository:pull", "moon:walk"])

    number = await world.members.add(world.on(project, CreateMember), "user", "bob", later)
    member = await world.members.get(world.on(project, ReadMember), number)
    await world.members.change_role(world.on(project, UpdateMember), number, _GUEST)
    await world.members.change_role(world.on(project, UpdateMember), number, later)
    await world.members.remove(world.on(project, DeleteMember), number)

    assert member.role.permissions == {"repository:pull"}


async def test_nobody_gives_or_takes_a_role_that_reaches_further_than_his_own_s9(world: World) -> None:
    project = await world.add_project("team")
    carol = await world.add_subject("carol")
    admin = await world.members.add(world.on(project, CreateMember), "user", carol, _PROJECT_ADMIN)
    world.decisions.permissions["bob"] = BUILT_IN_ROLES["developer"].project | {
        "member:create",
        "member:update",
        "member:delete",
    }
    await world.add_subject("dave")

    with pytest.raises(RoleBeyondOwnError) as caught:
        await world.members.add(
            world.on(project, CreateMember, principal=BOB), "user", "dave", _PROJECT_ADMIN
        )
    assert isinstance(caught.value, AccessDeniedError)
    assert "repository:create" in caught.value.missing
    with pytest.raises(RoleBeyondOwnError):
        await world.members.change_role(world.on(project, UpdateMember, principal=BOB), admin, _GUEST)
    with pytest.raises(RoleBeyondOwnError):
        await world.members.remove(world.on(project, DeleteMember, principal=BOB), admin)

    number = await world.members.add(
        world.on(project, CreateMember, principal=BOB), "user", "dave", _DEVELOPER
    )
    await world.members.change_role(world.on(project, UpdateMember, principal=BOB), number, _GUEST)
    await world.members.remove(world.on(project, DeleteMember, principal=BOB), number)


async def test_the_owner_and_the_last_administrator_stay_unless_an_operator_removes_them(
    world: World,
) -> None:
    project = await world.add_project("team")
    owner = await world.database.value("SELECT id FROM role_assignments")
    bob = await world.members.add(world.on(project, CreateMember), "user", "bob", _PROJECT_ADMIN)
    begun = await world.epoch(project)

    with pytest.raises(MemberNeededError):
        await world.members.remove(world.on(project, DeleteMember, principal=BOB), owner)
    with pytest.raises(MemberNeededError):
        await world.members.change_role(world.on(project, UpdateMember), owner, _DEVELOPER)
    assert await world.epoch(project) == begun

    world.decisions.roles["alice"] = frozenset({"operations-admin"})
    await world.members.remove(world.on(project, DeleteMember), owner)
    with pytest.raises(MemberNeededError):
        await world.members.remove(world.on(project, DeleteMember, principal=BOB), bob)
    with pytest.raises(MemberNeededError):
        await world.members.change_role(world.on(project, UpdateMember, principal=BOB), bob, _GUEST)
    await world.members.remove(world.on(project, DeleteMember), bob)


async def test_the_members_of_a_deleted_project_do_not_change(world: World) -> None:
    project = await world.add_project("team")
    await world.projects.delete(world.on(project, DeleteProject))

    with pytest.raises(ProjectUnknownError):
        await world.members.add(world.on(project, CreateMember, principal=ALICE), "user", "bob", _GUEST)
