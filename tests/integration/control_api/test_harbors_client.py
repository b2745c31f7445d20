"""Harbor's own client manages people, groups, projects, members, labels, robots and settings; effects are read in SQL.

The client does not raise on a wrong status, so what it says is never the only proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from harborapi.exceptions import BadRequest, Conflict, Forbidden, NotFound, PreconditionFailed, Unauthorized
from harborapi.models import (
    Access,
    Configurations,
    Label,
    ProjectMember,
    ProjectMetadata,
    ProjectReq,
    Robot,
    RobotCreate,
    RobotPermission,
    UserCreationReq,
    UserEntity,
    UserGroup,
    UserProfile,
)

from tests.drivers.metadata.identity_rows import IdentityRows
from tests.drivers.metadata.machine_accounts import on_sqlite

if TYPE_CHECKING:
    from harborapi import HarborAsyncClient

    from tests.integration.control_api.conftest import Registry

pytestmark = [
    on_sqlite,
    pytest.mark.filterwarnings("ignore:Accessing the .model_fields.:DeprecationWarning"),
]

_PASSWORD = "Bq7#mxLp-canary-1"
_OTHER = "Kt5!zzWq-canary-2"


def _id(address: str) -> int:
    return int(address.rpartition("/")[2])


async def _person(admin: HarborAsyncClient, name: str) -> int:
    return _id(await admin.create_user(UserCreationReq(username=name, password=_PASSWORD)))


async def test_a_person_is_made_described_promoted_and_deleted(registry: Registry) -> None:
    admin = registry.client()
    number = await _person(admin, "alice")

    await admin.update_user(number, UserProfile(email="a@b.example", realname="Alice"))
    await admin.set_user_admin(number, is_admin=True)

    alice = await admin.get_user(number)
    assert (alice.username, alice.email, alice.realname) == ("alice", "a@b.example", "Alice")
    assert alice.sysadmin_flag is True
    assert (await registry.client("alice", _PASSWORD).get_current_user()).user_id == number
    await admin.delete_user(number)
    with pytest.raises(NotFound):
        await admin.get_user(number)
    assert {"user.create", "user.update", "role.assign", "user.delete"} <= set(await registry.records())


async def test_people_change_their_own_account_and_no_other(registry: Registry) -> None:
    admin = registry.client()
    alice, bob = await _person(admin, "alice"), await _person(admin, "bob")
    client = registry.client("alice", _PASSWORD)

    await client.update_user(alice, UserProfile(comment="mine"))
    await client.set_user_password(alice, _OTHER, _PASSWORD)

    client = registry.client("alice", _OTHER)
    assert (await client.get_user(alice)).comment == "mine"
    for refused in (
        client.get_user(bob),
        client.update_user(bob, UserProfile(comment="theirs")),
        client.set_user_password(bob, _OTHER, _PASSWORD),
        client.set_user_admin(alice, is_admin=True),
        client.get_users(),
        client.create_user(UserCreationReq(username="eve", password=_PASSWORD)),
    ):
        with pytest.raises(Forbidden):
            await refused
    with pytest.raises(Unauthorized):
        await registry.client("alice", _PASSWORD).get_current_user()


async def test_a_new_person_gets_no_right_that_the_body_asks_for_s8(registry: Registry) -> None:
    body = UserCreationReq(username="alice", password=_PASSWORD)
    raw: Any = body
    raw.sysadmin_flag = True
    number = _id(await registry.client().create_user(body))

    assert (await registry.client().get_user(number)).sysadmin_flag is False
    assert (
        await registry.database.value(f"SELECT count(*) FROM role_assignments WHERE subject_id = {number}")
        == 0
    )


@pytest.mark.parametrize(
    "q", ["password=~a", "password_hash=~a", "epoch=1", "subject_id=1", "username=~a,salt=~b"]
)
async def test_people_cannot_be_filtered_by_what_is_not_shown_s26(registry: Registry, q: str) -> None:
    with pytest.raises(BadRequest):
        await registry.client().get_users(q)


async def test_people_are_listed_in_pages_that_the_client_follows(registry: Registry) -> None:
    admin = registry.client()
    for number in range(12):
        await _person(admin, f"person-{number:02}")

    names = [user.username for user in await admin.get_users("username=~person", "-username", page_size=5)]

    assert names == [f"person-{number:02}" for number in reversed(range(12))]
    assert [user.username for user in await admin.search_users_by_username("person-07")] == ["person-07"]


async def test_a_group_is_made_renamed_found_and_deleted(registry: Registry) -> None:
    admin = registry.client()
    number = _id(await admin.create_usergroup(UserGroup(group_name="staff", group_type=2)))

    await admin.update_usergroup(number, UserGroup(group_name="crew"))

    assert (await admin.get_usergroup(number)).group_name == "crew"
    assert [group.group_name for group in await admin.search_usergroups("cr")] == ["crew"]
    await admin.delete_usergroup(number)
    assert await admin.get_usergroups() == []


async def test_a_project_with_members_as_an_administrator_sets_it_up(registry: Registry) -> None:
    admin = registry.client()
    alice = await _person(admin, "alice")
    address = await admin.create_project(
        ProjectReq(project_name="apps", metadata=ProjectMetadata(public="false"))
    )

    assert address == "/api/v2.0/projects/apps"
    project = await admin.get_project("apps")
    assert project.project_id is not None
    assert (project.owner_name, project.repo_count, project.current_user_role_id) == ("admin", 0, 1)
    with pytest.raises(Conflict):
        await admin.create_project(ProjectReq(project_name="apps"))
    client = registry.client("alice", _PASSWORD)
    with pytest.raises(Forbidden):
        await client.get_project("apps")
    assert await client.project_exists("apps") is False

    member = _id(
        await admin.add_project_member(
            "apps", ProjectMember(role_id=3, member_user=UserEntity(username="alice"))
        )
    )

    assert await client.project_exists("apps") is True
    assert (await client.get_project(project.project_id)).name == "apps"
    shown = await admin.get_project_member("apps", member)
    assert (shown.entity_name, shown.role_name, shown.entity_type, shown.entity_id) == (
        "alice",
        "guest",
        "u",
        alice,
    )
    await admin.update_project_member_role("apps", member, 2)
    assert await registry.database.value(f"SELECT count(*) FROM role_assignments WHERE id = {member}") == 1
    assert [one.role_id for one in await client.get_project_members("apps")] == [1, 2]
    with pytest.raises(Forbidden):
        await client.update_project_member_role("apps", member, 1)
    await admin.remove_project_member("apps", member)
    with pytest.raises(Forbidden):
        await client.get_project("apps")


async def test_a_member_of_another_project_is_not_found_s7(registry: Registry) -> None:
    admin = registry.client()
    await _person(admin, "alice")
    for name in ("apps", "tools"):
        await admin.create_project(ProjectReq(project_name=name))
    member = _id(
        await admin.add_project_member(
            "tools", ProjectMember(role_id=3, member_user=UserEntity(username="alice"))
        )
    )

    with pytest.raises(NotFound):
        await admin.get_project_member("apps", member)
    with pytest.raises(NotFound):
        await admin.update_project_member_role("apps", member, 1)
    with pytest.raises(NotFound):
        await admin.remove_project_member("apps", member)
    assert (await admin.get_project_member("tools", member)).role_id == 3


async def test_metadata_of_a_project_are_set_one_by_one(registry: Registry) -> None:
    admin = registry.client()
    await admin.create_project(ProjectReq(project_name="apps"))

    await admin.set_project_metadata("apps", ProjectMetadata(public="true", reuse_sys_cve_allowlist="true"))
    await admin.update_project_metadata_entry("apps", "severity", {"severity": "high"})

    metadata = await admin.get_project_metadata("apps")
    assert (metadata.public, metadata.severity) == ("true", "high")
    assert metadata.reuse_sys_cve_allowlist == "true"
    await admin.delete_project_metadata_entry("apps", "severity")
    assert (await admin.get_project_metadata("apps")).severity is None
    assert (await admin.get_project_deletable("apps")).deletable is True
    assert (await admin.get_project_summary("apps")).project_admin_count == 1
    await admin.delete_project("apps")
    with pytest.raises(NotFound):
        await admin.get_project("apps")


async def test_labels_of_a_project_and_of_the_registry(registry: Registry) -> None:
    admin = registry.client()
    await admin.create_project(ProjectReq(project_name="apps"))
    project = (await admin.get_project("apps")).project_id
    of_project = _id(await admin.create_label(Label(name="mine", scope="p", project_id=project)))
    of_all = _id(await admin.create_label(Label(name="all", scope="g", color="#00AB9A")))

    await admin.create_label(Label(name="without a scope", project_id=project))

    await admin.update_label(of_project, Label(name="ours"))

    of_it = [label.name for label in await admin.get_labels(scope="p", project_id=project)]
    assert sorted(str(name) for name in of_it) == ["ours", "without a scope"]
    assert [label.name for label in await admin.get_labels(scope="g")] == ["all"]
    assert (await admin.get_label(of_all)).color == "#00AB9A"
    await _person(admin, "alice")
    client = registry.client("alice", _PASSWORD)
    with pytest.raises(Forbidden):
        await client.get_label(of_project)
    with pytest.raises(Forbidden):
        await client.delete_label(of_all)
    with pytest.raises(Forbidden):  # as one that is there and not hers (S19)
        await client.get_label(999)
    await admin.delete_label(of_project)
    with pytest.raises(NotFound):
        await admin.get_label(of_project)


def _pulling(kind: str, namespace: str) -> list[RobotPermission]:
    access = [Access(resource="repository", action="pull")]
    return [RobotPermission(kind=kind, namespace=namespace, access=access)]


async def test_a_robot_is_made_used_given_another_secret_and_removed(registry: Registry) -> None:
    admin = registry.client()
    await admin.create_project(ProjectReq(project_name="apps"))
    made = await admin.create_robot(
        RobotCreate(name="ci", level="project", duration=7, permissions=_pulling("project", "apps"))
    )

    assert made.id is not None
    assert made.name == "robot$apps+ci"
    assert made.secret is not None
    assert made.secret.startswith("ers_")
    robot = await admin.get_robot(made.id)
    assert (robot.level, robot.duration, robot.secret) == ("project", 7, None)
    project = (await admin.get_project("apps")).project_id
    listed = await admin.get_robots(f"Level=project,ProjectID={project}")
    assert [one.name for one in listed] == ["robot$apps+ci"]
    assert await admin.get_robots() == []

    await admin.update_robot(made.id, Robot(description="builds", disable=False))
    renewed = await admin.refresh_robot_secret(made.id, "")

    assert renewed.secret not in (None, made.secret)
    assert (await admin.get_robot(made.id)).description == "builds"
    await admin.delete_robot(made.id)
    assert await admin.get_robots(f"Level=project,ProjectID={project}") == []
    assert {"robot.create", "robot.update", "robot.rotate", "robot.delete"} <= set(await registry.records())


async def test_a_robot_of_a_project_is_not_for_outsiders_s7(registry: Registry) -> None:
    admin = registry.client()
    await admin.create_project(ProjectReq(project_name="apps"))
    made = await admin.create_robot(
        RobotCreate(name="ci", level="project", duration=7, permissions=_pulling("project", "apps"))
    )
    await _person(admin, "alice")
    client = registry.client("alice", _PASSWORD)

    assert made.id is not None
    with pytest.raises(Forbidden):
        await client.get_robot(made.id)
    with pytest.raises(Forbidden):
        await client.refresh_robot_secret(made.id, "")
    with pytest.raises(Forbidden):  # as one that is there and not hers (S19)
        await client.get_robot(999)
    with pytest.raises(Forbidden):
        await client.create_robot(
            RobotCreate(name="x", level="project", duration=7, permissions=_pulling("project", "apps"))
        )


async def test_settings_are_read_and_changed(registry: Registry) -> None:
    admin = registry.client()
    await admin.update_config(Configurations(project_creation_restriction="everyone"))

    config = await admin.get_config()
    assert config.project_creation_restriction is not None
    assert config.project_creation_restriction.value == "everyone"
    await _person(admin, "alice")
    client = registry.client("alice", _PASSWORD)
    await client.create_project(ProjectReq(project_name="hers"))
    assert (await client.get_project("hers")).current_user_role_id == 1
    with pytest.raises(Forbidden):
        await client.get_config()


async def test_a_list_shows_ones_roles_as_reading_one_project_does(registry: Registry) -> None:
    """One's own, those by groups, and those on the system; none in what is only public."""
    admin = registry.client()
    alice, bob = await _person(admin, "alice"), await _person(admin, "bob")
    group = _id(await admin.create_usergroup(UserGroup(group_name="builders", group_type=2)))
    for name in ("hers", "groups", "public"):
        await admin.create_project(ProjectReq(project_name=name, public=name == "public"))
    await admin.add_project_member("hers", ProjectMember(role_id=1, member_user=UserEntity(user_id=alice)))
    await admin.add_project_member_group("groups", group, 2)
    async with registry.plain() as client:
        await client.post(f"/usergroups/{group}/members", json={"user_id": alice})
        await client.post("/role-assignments", json={"subject_id": bob, "role": "auditor"})

    async def _roles(name: str) -> dict[str, tuple[bool, list[int]]]:
        """Return what the list says, which has to be what each project says."""
        async with registry.plain(name, _PASSWORD) as client:
            listed = (await client.get("/projects")).json()
            assert listed == [(await client.get(f"/projects/{one['name']}")).json() for one in listed]
            found = (await client.get("/search?q=s")).json()["project"]
        assert [one["current_user_role_ids"] for one in found] == [
            one["current_user_role_ids"] for one in listed if "s" in one["name"]
        ]
        return {one["name"]: (one["togglable"], one["current_user_role_ids"]) for one in listed}

    assert await _roles("alice") == {"groups": (False, [2]), "hers": (True, [1]), "public": (False, [])}
    assert await _roles("bob") == {
        "groups": (False, [6]),
        "hers": (False, [6]),
        "public": (False, [6]),
    }


async def test_the_last_administrator_stays(registry: Registry) -> None:
    admin = registry.client()
    me = (await admin.get_current_user()).user_id

    assert me is not None
    with pytest.raises(PreconditionFailed):
        await admin.set_user_admin(me, is_admin=False)
    assert (await admin.get_current_user()).sysadmin_flag is True


async def test_who_administers_by_a_group_is_told_by_the_flag_that_harbor_has_for_it(
    registry: Registry,
) -> None:
    admin = registry.client()
    number = await _person(admin, "alice")
    rows = IdentityRows(registry.database)
    await rows.give(await rows.group("admins", number), "operations-admin")

    herself = await registry.client("alice", _PASSWORD).get_current_user()
    seen = [(one.sysadmin_flag, one.admin_role_in_auth) for one in (herself, await admin.get_user(number))]
    listed = {one.username: (one.sysadmin_flag, one.admin_role_in_auth) for one in await admin.get_users()}

    assert seen == [(False, True)] * 2
    assert listed == {"admin": (True, False), "alice": (False, True)}


async def test_what_was_done_is_listed_and_filtered(registry: Registry) -> None:
    admin = registry.client()
    await _person(admin, "alice")
    await admin.create_project(ProjectReq(project_name="apps"))

    logs = await admin.get_audit_logs("operation=project.create")

    assert [(log.username, log.resource, log.operation) for log in logs] == [
        ("admin", "apps", "project.create")
    ]
    assert [log.resource for log in await admin.get_project_logs("apps")] == ["apps"]
    with pytest.raises(BadRequest):
        await admin.get_audit_logs("disclosure=~a")
    with pytest.raises(Forbidden):
        await registry.client("alice", _PASSWORD).get_audit_logs()


async def test_own_permissions_are_told(registry: Registry) -> None:
    admin = registry.client()
    await admin.create_project(ProjectReq(project_name="apps"))
    await _person(admin, "alice")
    number = (await admin.get_project("apps")).project_id

    permissions = await admin.get_current_user_permissions(f"/project/{number}", relative=True)

    assert ("repository", "push") in {(one.resource, one.action) for one in permissions}
    client = registry.client("alice", _PASSWORD)
    assert await client.get_current_user_permissions(f"/project/{number}") == []


async def test_wrong_new_passwords_say_why(registry: Registry) -> None:
    with pytest.raises(BadRequest):
        await registry.client().create_user(UserCreationReq(username="alice", password="password"))
    assert await registry.client().get_users("username=alice") == []


async def test_who_administers_a_project_learns_what_its_robots_can_be_given_s9(registry: Registry) -> None:
    """Harbor's clients do not say for which project they ask; nobody else is told."""
    admin = registry.client()
    for name in ("alice", "bob"):
        await _person(admin, name)
    await admin.create_project(ProjectReq(project_name="open", metadata=ProjectMetadata(public="true")))
    for name, role in (("alice", 1), ("bob", 4)):
        member = ProjectMember(role_id=role, member_user=UserEntity(username=name))
        await admin.add_project_member("open", member)

    granted = await registry.client("alice", _PASSWORD).get_permissions()

    assert granted.system == []
    assert granted.project == (await admin.get_permissions()).project
    async with registry.plain("bob", _PASSWORD) as bob:
        refused = await bob.get("/permissions")
    assert refused.status_code == 403
    assert refused.json()["errors"][0]["message"] == (
        "this takes robot:create on the system or in some project: ask who administers a project for a role that "
        "permits it, or an operations administrator"
    )


async def test_labels_of_the_registry_are_for_every_person_to_see_s15(registry: Registry) -> None:
    """But not for an access token whose limits leave them out, and not for nobody."""
    admin = registry.client()
    await _person(admin, "alice")
    await admin.create_label(Label(name="blue", scope="g"))

    assert [one.name for one in await registry.client("alice", _PASSWORD).get_labels(scope="g")] == ["blue"]
    async with registry.plain("alice", _PASSWORD) as alice:
        tokens = [
            (await alice.post("/access-tokens", json={"name": name, **limits})).json()["secret"]
            for name, limits in (("whole", {}), ("limited", {"permissions": ["repository:pull"]}))
        ]
    statuses: list[int] = []
    for secret in tokens:
        async with registry.plain("alice", secret) as client:
            statuses.append((await client.get("/labels", params={"scope": "g"})).status_code)
    assert statuses == [200, 403]
    with pytest.raises(Unauthorized):
        await registry.client("nobody", "none").get_labels(scope="g")
