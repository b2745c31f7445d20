"""Custom roles and roles on the system: nobody gives what they lack, the last administrator stays, all is recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.auth.custom_roles import Roles
from entrepot.auth.errors import AccessDeniedError, ProjectUnknownError
from entrepot.auth.grants import SystemGrant
from entrepot.auth.host import HostControlAuthorizer, HostDecisions, host_operator
from entrepot.auth.project_actions import DeleteProject
from entrepot.auth.role_assignments import RoleAssignments
from entrepot.auth.role_catalog import RoleCatalog
from entrepot.auth.role_errors import (
    AlreadyAssignedError,
    AssigneeUnknownError,
    AssignmentUnknownError,
    InvalidRoleError,
    LastOperationsAdminError,
    RoleInUseError,
    RoleNameTakenError,
    RoleUnknownError,
)
from entrepot.auth.system_actions import (
    CreateRole,
    CreateRoleAssignment,
    DeleteRole,
    DeleteRoleAssignment,
    ListRole,
    ListRoleAssignment,
    ReadRole,
    UpdateRole,
)
from tests.integration.identity import Identity, open_identity, principal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_ROOT: Final = principal("root")


@pytest.fixture
async def identity(tmp_path: Path) -> AsyncIterator[Identity]:
    """Return a store with one administrator."""
    async with open_identity(tmp_path) as opened:
        await opened.rows.give(await opened.rows.user("root"), "operations-admin")
        yield opened


@pytest.fixture
def roles(identity: Identity) -> Roles:
    """Return the service of roles."""
    return Roles(identity.metadata, identity.decisions)


@pytest.fixture
def assignments(identity: Identity) -> RoleAssignments:
    """Return the service of roles on the system."""
    return RoleAssignments(identity.metadata, identity.decisions)


async def _records(identity: Identity) -> list[tuple[str, Any]]:
    rows = await identity.database.fetch("SELECT action, body FROM audit_records ORDER BY id")
    return [(action, json.loads(body).get("change")) for action, body in rows]


async def test_a_role_is_made_changed_listed_and_deleted_and_each_is_recorded(
    identity: Identity, roles: Roles
) -> None:
    """I11."""
    made = await roles.create(
        SystemGrant(CreateRole, _ROOT), "puller", "project", ["repository:pull"], "Pulls."
    )
    await roles.update(SystemGrant(UpdateRole, _ROOT), made.role_id, ["repository:list"], "Lists.")
    changed = await roles.find(SystemGrant(ReadRole, _ROOT), made.role_id)
    listed = await roles.list_all(SystemGrant(ListRole, _ROOT))
    await roles.delete(SystemGrant(DeleteRole, _ROOT), made.role_id)

    assert made.role_id >= 1001
    assert (made.name, sorted(made.project), sorted(made.system)) == ("puller", ["repository:pull"], [])
    assert (made.assignable_in_project, made.assignable_on_system) == (True, False)
    assert (changed.summary, sorted(changed.project)) == ("Lists.", ["repository:list"])
    assert [role.role_id for role in listed] == [1, 2, 3, 4, 5, 6, 7, made.role_id]
    with pytest.raises(RoleUnknownError, match=f"^there is no role {made.role_id}$"):
        await roles.find(SystemGrant(ReadRole, _ROOT), made.role_id)
    old = {"level": "project", "description": "Pulls.", "permissions": ["repository:pull"]}
    new = {"level": "project", "description": "Lists.", "permissions": ["repository:list"]}
    assert await _records(identity) == [
        ("role.create", {"before": None, "after": old}),
        ("role.update", {"before": old, "after": new}),
        ("role.delete", {"before": new, "after": None}),
    ]


async def test_s9_nobody_puts_into_a_role_what_they_do_not_hold_everywhere(
    identity: Identity, roles: Roles
) -> None:
    ann = await identity.rows.user("ann")
    await identity.rows.give(ann, "guest")
    await identity.rows.give(ann, "project-admin", await identity.rows.project("team"))
    await identity.rows.custom_role("minter", "system", ["role:create", "role:update"])
    await identity.rows.give(ann, "minter")
    create, update = SystemGrant(CreateRole, principal("ann")), SystemGrant(UpdateRole, principal("ann"))

    made = await roles.create(create, "puller", "project", ["repository:pull"])
    with pytest.raises(AccessDeniedError, match="repository:push"):
        await roles.create(create, "pusher", "project", ["repository:pull", "repository:push"])
    with pytest.raises(AccessDeniedError, match="user:create"):
        await roles.create(create, "maker", "system", ["user:create"])
    with pytest.raises(AccessDeniedError):
        await roles.update(update, made.role_id, ["repository:delete"], "")

    assert (await RoleCatalog(identity.metadata.roles).list_all())[-1] == made
    assert [action for action, _ in await _records(identity)] == ["role.create"]


@pytest.mark.parametrize(
    ("name", "level", "permissions"),
    [
        ("puller", "project", ["repository:fly"]),
        ("puller", "project", ["user:create"]),
        ("puller", "system", ["repository:pull"]),
        ("puller", "project", []),
        ("puller", "planet", ["repository:pull"]),
        ("Puller", "project", ["repository:pull"]),
        ("a" * 65, "project", ["repository:pull"]),
        ("puller\n", "project", ["repository:pull"]),
        ("", "project", ["repository:pull"]),
    ],
)
async def test_s8_a_role_consists_of_known_permissions_of_its_level(
    roles: Roles, name: str, level: Any, permissions: list[str]
) -> None:
    with pytest.raises(InvalidRoleError):
        await roles.create(SystemGrant(CreateRole, _ROOT), name, level, permissions)


async def test_a_name_is_taken_by_built_in_roles_custom_ones_and_those_somebody_still_has(
    identity: Identity, roles: Roles
) -> None:
    """By what Harbor calls a built-in one and by numbers, too: clients take these for another role (S9)."""
    grant = SystemGrant(CreateRole, _ROOT)
    await roles.create(grant, "puller", "project", ["repository:pull"])
    await identity.rows.give(
        await identity.rows.user("ann"), "left-over", await identity.rows.project("team")
    )

    for name in ("puller", "guest", "operations-admin", "left-over", "maintainer", "1", "1000"):
        with pytest.raises(RoleNameTakenError):
            await roles.create(grant, name, "project", ["repository:pull"])


async def test_built_in_roles_can_be_neither_changed_nor_deleted(roles: Roles) -> None:
    for number in (1, 7, 999, 1000):
        with pytest.raises(RoleUnknownError, match=r"that can be changed or deleted: built-in ones can't$"):
            await roles.update(SystemGrant(UpdateRole, _ROOT), number, ["repository:pull"], "")
        with pytest.raises(RoleUnknownError):
            await roles.delete(SystemGrant(DeleteRole, _ROOT), number)


async def test_a_role_that_somebody_has_is_not_deleted_and_its_change_reaches_them(
    identity: Identity, roles: Roles
) -> None:
    """S14."""
    made = await roles.create(SystemGrant(CreateRole, _ROOT), "puller", "project", ["repository:pull"])
    ann = await identity.rows.user("ann")
    await identity.rows.give(
        await identity.rows.group("team", ann), "puller", await identity.rows.project("p")
    )

    with pytest.raises(RoleInUseError):
        await roles.delete(SystemGrant(DeleteRole, _ROOT), made.role_id)
    await roles.update(SystemGrant(UpdateRole, _ROOT), made.role_id, ["repository:list"], "")

    epochs = await identity.rows.epochs()
    assert (epochs["ann"], epochs["team"], epochs["root"]) == (1, 1, 0)


async def test_names_that_no_version_here_knows_keep_nobody_from_changing_giving_or_taking_a_role(
    identity: Identity, roles: Roles, assignments: RoleAssignments
) -> None:
    """Nobody can hold them, and they permit nothing."""
    number = await identity.rows.custom_role("later", "system", ["role:list", "moon:walk"])
    ann = await identity.rows.user("ann")
    grant = SystemGrant(CreateRoleAssignment, _ROOT)

    given = await assignments.give(grant, ann, "later")
    await assignments.take(SystemGrant(DeleteRoleAssignment, _ROOT), given)
    found = await roles.find(SystemGrant(ReadRole, _ROOT), 1000 + number)
    await roles.update(SystemGrant(UpdateRole, _ROOT), 1000 + number, ["role:list"], "")

    assert found.system == {"role:list"}
    assert [action for action, _ in await _records(identity)] == ["role.assign", "role.revoke", "role.update"]


async def test_a_role_on_the_system_is_given_and_taken_and_each_is_recorded(
    identity: Identity, assignments: RoleAssignments
) -> None:
    """I11, S14."""
    ann = await identity.rows.user("ann")
    group = await identity.rows.group("audit", ann)

    number = await assignments.give(SystemGrant(CreateRoleAssignment, _ROOT), group, "auditor")
    listed = await assignments.list_page(SystemGrant(ListRoleAssignment, _ROOT), 10, 0)
    second = await assignments.list_page(SystemGrant(ListRoleAssignment, _ROOT), 1, 1)
    total = await assignments.count(SystemGrant(ListRoleAssignment, _ROOT))
    await assignments.take(SystemGrant(DeleteRoleAssignment, _ROOT), number)

    assert [(found.role, found.assignee.name, found.creator) for found in listed] == [
        ("operations-admin", "root", "x"),
        ("auditor", "audit", "id-root"),
    ]
    assert (second, total) == (listed[1:], 2)
    state = {"role": "auditor", "kind": "group", "name": "audit"}
    assert await _records(identity) == [
        ("role.assign", {"before": None, "after": state}),
        ("role.revoke", {"before": state, "after": None}),
    ]
    epochs = await identity.rows.epochs()
    assert (epochs["ann"], epochs["audit"]) == (2, 2)


async def test_a_role_that_people_give_themselves_names_them_only_as_who_acts_i11(
    identity: Identity, assignments: RoleAssignments
) -> None:
    (root,) = await assignments.list_page(SystemGrant(ListRoleAssignment, _ROOT), 10, 0)

    await assignments.give(SystemGrant(CreateRoleAssignment, _ROOT), root.assignee.subject_id, "auditor")

    state = {"role": "auditor", "kind": "user", "name": ""}
    assert await _records(identity) == [("role.assign", {"before": None, "after": state})]


async def test_s9_nobody_gives_a_role_that_is_more_than_their_own(
    identity: Identity, assignments: RoleAssignments
) -> None:
    ann, bob = await identity.rows.user("ann"), await identity.rows.user("bob")
    await identity.rows.custom_role("giver", "system", ["role-assignment:create"])
    await identity.rows.give(ann, "giver")
    await identity.rows.give(ann, "guest")
    grant = SystemGrant(CreateRoleAssignment, principal("ann"))

    await assignments.give(grant, bob, "guest")
    await assignments.give(grant, bob, "giver")
    for role in ("developer", "auditor", "operations-admin"):
        with pytest.raises(AccessDeniedError):
            await assignments.give(grant, bob, role)


async def test_what_can_not_be_given_is_refused(identity: Identity, assignments: RoleAssignments) -> None:
    grant = SystemGrant(CreateRoleAssignment, _ROOT)
    ann, robot = await identity.rows.user("ann"), await identity.rows.robot("r", [])
    await identity.rows.custom_role("puller", "project", ["repository:pull"])
    await assignments.give(grant, ann, "guest")

    with pytest.raises(AlreadyAssignedError):
        await assignments.give(grant, ann, "guest")
    with pytest.raises(RoleUnknownError) as unknown:
        await assignments.give(grant, ann, "emperor")
    assert str(unknown.value) == (
        "there is no role emperor; there are project-admin, developer, guest, team-lead, limited-guest, auditor, "
        "operations-admin, and those of your own: entrepot role list, or GET /api/v2.0/roles"
    )
    with pytest.raises(InvalidRoleError):
        await assignments.give(grant, ann, "puller")
    for nobody in (robot, 10**6):
        with pytest.raises(AssigneeUnknownError):
            await assignments.give(grant, nobody, "guest")
    assert [action for action, _ in await _records(identity)] == ["role.assign"]


async def test_s7_a_member_of_a_project_can_not_be_taken_as_an_assignment(
    identity: Identity, assignments: RoleAssignments
) -> None:
    member = await identity.rows.give(
        await identity.rows.user("ann"), "guest", await identity.rows.project("team")
    )

    for number in (member, 10**6):
        with pytest.raises(AssignmentUnknownError):
            await assignments.take(SystemGrant(DeleteRoleAssignment, _ROOT), number)


async def test_the_last_active_operations_admin_keeps_the_role(
    identity: Identity, assignments: RoleAssignments
) -> None:
    first = await identity.database.value("SELECT id FROM role_assignments")
    disabled = await identity.rows.user("gone")
    await identity.rows.give(disabled, "operations-admin")
    await identity.rows.disable(disabled)
    take = SystemGrant(DeleteRoleAssignment, _ROOT)

    with pytest.raises(LastOperationsAdminError):
        await assignments.take(take, first)
    assert await _records(identity) == []
    assert (await identity.rows.epochs())["root"] == 0

    await assignments.give(
        SystemGrant(CreateRoleAssignment, _ROOT), await identity.rows.user("ann"), "operations-admin"
    )
    await assignments.take(take, first)
    assert await identity.decisions.on_registry(principal("ann"))


async def test_the_operator_at_the_host_may_everything_with_what_exists(identity: Identity) -> None:
    team = await identity.rows.project("team")
    authorizer = HostControlAuthorizer(identity.metadata.standings)
    decisions = HostDecisions(identity.metadata.standings)
    host = host_operator()

    for project in ("team", team):
        grant = await authorizer.authorize_project(host, DeleteProject, project)
        assert (grant.project_id, grant.project, grant.principal) == (team, "team", host)
        standing = await decisions.on_project(host, project)
        assert standing is not None
        assert (standing.project_id, len(standing.permissions)) == (team, 43)
    with pytest.raises(ProjectUnknownError):
        await authorizer.authorize_project(host, DeleteProject, "nowhere")
    assert await decisions.on_project(host, "nowhere") is None
    assert (await authorizer.authorize_system(host, CreateRole)).principal is host
    assert (await authorizer.authorize_self(host)).principal is host
    made = await Roles(identity.metadata, decisions).create(
        SystemGrant(CreateRole, host), "puller", "project", ["repository:pull"]
    )
    assert made.name == "puller"
    assert len(await decisions.on_registry(host)) == 38
