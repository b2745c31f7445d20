"""harborapi's calls about people, groups and robots, each seen again by another path than its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import httpx
import pytest
from harborapi.exceptions import Conflict, Forbidden, HarborAPIException, NotFound, Unauthorized
from harborapi.models import (
    Access,
    RobotCreate,
    RobotPermission,
    UserCreationReq,
    UserGroup,
    UserProfile,
    UserResp,
)

from tests.running.control_client import Account
from tests.running.with_accounts import ADMINISTRATOR, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harborapi import HarborAsyncClient

    from tests.blackbox.accounts.conftest import Look, People, Team
    from tests.running.with_accounts import EntrepotWithAccounts

_numbers: Final = itertools.count(1)
_PERSON: Final = (
    "SELECT s.id, u.email, u.realname, u.comment FROM users u JOIN subjects s ON s.id = u.subject_id"
    " WHERE s.kind = 'user' AND s.name = :name"
)
_SYSTEM_ROLES: Final = (
    "SELECT role FROM role_assignments WHERE subject_id = :id AND project_id IS NULL ORDER BY role"
)
_GROUP: Final = (
    "SELECT g.subject_id, g.group_type FROM user_groups g JOIN subjects s ON s.id = g.subject_id"
    " WHERE s.kind = 'group' AND s.name = :name"
)
_ROBOT: Final = (
    "SELECT r.description, s.disabled_at IS NOT NULL FROM robots r JOIN subjects s ON s.id = r.subject_id"
    " WHERE s.name = :name"
)


@pytest.fixture
def name() -> str:
    """Return a name that nobody has."""
    return f"person{next(_numbers)}"


async def _create(harbor: HarborAsyncClient, name: str) -> int:
    location = await harbor.create_user(
        UserCreationReq(username=name, email=f"{name}@example.org", realname="A B", password=PASSWORD)
    )
    return int(location.rpartition("/")[2])


def _pings(registry: EntrepotWithAccounts, account: Account) -> int:
    """Return the status that an account gets on /v2/."""
    return httpx.get(f"{registry.url}/v2/", auth=(account.name, account.secret)).status_code


async def test_a_person_is_made_and_can_log_in_everywhere(
    harbor: HarborAsyncClient,
    harbor_as: Callable[[Account], HarborAsyncClient],
    registry: EntrepotWithAccounts,
    look: Look,
    name: str,
) -> None:
    user_id = await _create(harbor, name)

    assert look(_PERSON, name=name) == [(user_id, f"{name}@example.org", "A B", "")]
    assert _pings(registry, Account(name, PASSWORD)) == 200
    assert _pings(registry, Account(name, "Wrong-Meadow-29")) == 401
    found = await harbor.get_user(user_id)
    assert (found.username, found.email, found.sysadmin_flag) == (name, f"{name}@example.org", False)
    themselves = harbor_as(Account(name, PASSWORD))
    assert (await _current(themselves)).user_id == user_id
    with pytest.raises(Conflict):
        await _create(harbor, name)
    with pytest.raises(Forbidden):
        await _create(themselves, f"{name}x")


async def _current(harbor: HarborAsyncClient) -> UserResp:
    return await harbor.get_current_user()


async def test_people_are_listed_and_found_by_name(harbor: HarborAsyncClient, look: Look, name: str) -> None:
    """Over several pages nobody is missing and nobody comes twice."""
    numbers = [await _create(harbor, f"{name}.{number}") for number in range(7)]

    everybody = await harbor.get_users(page_size=3)
    (chosen,) = await harbor.get_users(query=f"username={name}.3")
    searched = await harbor.search_users_by_username(f"{name}.")

    stored = {row[0] for row in look("SELECT name FROM subjects WHERE kind = 'user'")}
    assert sorted(str(person.username) for person in everybody) == sorted(stored)
    assert chosen.user_id == numbers[3]
    assert {person.user_id for person in searched} == set(numbers)
    assert (await harbor.get_user_by_username(f"{name}.6")).user_id == numbers[6]


async def test_a_person_is_changed_and_deleted(
    harbor: HarborAsyncClient, registry: EntrepotWithAccounts, look: Look, name: str
) -> None:
    """Whoever is deleted logs in nowhere from the next request on (S14)."""
    user_id = await _create(harbor, name)

    await harbor.update_user(user_id, UserProfile(email="new@example.org", realname="C D", comment="moved"))
    assert look(_PERSON, name=name) == [(user_id, "new@example.org", "C D", "moved")]

    assert _pings(registry, Account(name, PASSWORD)) == 200
    await harbor.delete_user(user_id)
    assert look(_PERSON, name=name) == []
    assert _pings(registry, Account(name, PASSWORD)) == 401
    with pytest.raises(NotFound):
        await harbor.get_user(user_id)


async def test_somebody_becomes_an_operations_administrator_and_stops_being_one(
    harbor: HarborAsyncClient,
    harbor_as: Callable[[Account], HarborAsyncClient],
    look: Look,
    name: str,
) -> None:
    """Harbor's `sysadmin_flag` is our role on the system; it acts within the minute, here at once."""
    user_id = await _create(harbor, name)
    themselves = harbor_as(Account(name, PASSWORD))

    await harbor.set_user_admin(user_id, True)
    assert look(_SYSTEM_ROLES, id=user_id) == [("operations-admin",)]
    assert (await harbor.get_user(user_id)).sysadmin_flag is True
    assert await _create(themselves, f"{name}x") > user_id

    await harbor.set_user_admin(user_id, False)
    assert look(_SYSTEM_ROLES, id=user_id) == []
    with pytest.raises(Forbidden):
        await _create(themselves, f"{name}y")


async def test_a_password_is_changed_by_oneself_and_the_old_one_is_dead(
    harbor: HarborAsyncClient,
    harbor_as: Callable[[Account], HarborAsyncClient],
    registry: EntrepotWithAccounts,
    name: str,
) -> None:
    user_id = await _create(harbor, name)
    new = Account(name, "Walnut-Harvest-73")

    await _change_password(harbor_as(Account(name, PASSWORD)), user_id, new.secret, PASSWORD)

    assert (_pings(registry, new), _pings(registry, Account(name, PASSWORD))) == (200, 401)
    with pytest.raises(Unauthorized):
        await _current(harbor_as(Account(name, PASSWORD)))


async def test_an_administrator_resets_a_password_without_the_old_one(
    harbor: HarborAsyncClient,
    harbor_as: Callable[[Account], HarborAsyncClient],
    registry: EntrepotWithAccounts,
    name: str,
) -> None:
    """Whoever gets it may log in with it, and nothing but the change of it is open to them (S14)."""
    user_id = await _create(harbor, name)
    given = Account(name, "Walnut-Harvest-73")

    await harbor.set_user_password(user_id, given.secret)

    assert (await _current(harbor_as(given))).user_id == user_id
    with pytest.raises(Unauthorized):
        await _current(harbor_as(Account(name, PASSWORD)))
    assert _pings(registry, given) == 403
    await harbor_as(given).set_user_password(user_id, "Kestrel-Orchard-58", given.secret)
    assert _pings(registry, Account(name, "Kestrel-Orchard-58")) == 200


async def _change_password(harbor: HarborAsyncClient, user_id: int, new: str, old: str) -> None:
    await harbor.set_user_password(user_id, new, old)


async def test_one_sees_what_one_may_do(
    harbor_as: Callable[[Account], HarborAsyncClient], team: Team, look: Look
) -> None:
    """In a project, as Harbor words it; the developer's permissions are those that act on /v2/."""
    ((project_id,),) = look("SELECT id FROM projects WHERE name = :name", name=team.name)
    harbor = harbor_as(team.people["developer"])

    found = await harbor.get_current_user_permissions(scope=f"/project/{project_id}", relative=True)

    pairs = {(permission.resource, permission.action) for permission in found}
    assert {("repository", "pull"), ("repository", "push")} <= pairs
    assert ("repository", "create") not in pairs
    assert ("member", "create") not in pairs


async def test_groups_are_made_renamed_found_and_deleted(
    harbor: HarborAsyncClient, look: Look, name: str
) -> None:
    location = await harbor.create_usergroup(UserGroup(group_name=f"{name}s", group_type=2))
    group_id = int(location.rpartition("/")[2])
    assert look(_GROUP, name=f"{name}s") == [(group_id, 2)]

    assert (await harbor.get_usergroup(group_id)).group_name == f"{name}s"
    assert group_id in [group.id for group in await harbor.get_usergroups(page_size=2)]
    assert [group.id for group in await harbor.search_usergroups(f"{name}s")] == [group_id]
    await harbor.update_usergroup(group_id, UserGroup(group_name=f"{name}-team"))
    assert look(_GROUP, name=f"{name}-team") == [(group_id, 2)]
    await harbor.delete_usergroup(group_id)
    assert look(_GROUP, name=f"{name}-team") == []
    with pytest.raises(NotFound):
        await harbor.get_usergroup(group_id)


def _robot(team: Team, name: str, actions: Sequence[str]) -> RobotCreate:
    access = [Access(resource="repository", action=action) for action in actions]
    return RobotCreate(
        name=name,
        description="builds",
        level="project",
        duration=30,
        disable=False,
        permissions=[RobotPermission(kind="project", namespace=team.name, access=access)],
    )


async def test_a_robot_is_made_listed_disabled_and_deleted(
    harbor: HarborAsyncClient, team: Team, look: Look, registry: EntrepotWithAccounts
) -> None:
    """Its secret is told once; what the robot may do, /v2/ says (S9, S14)."""
    made = await harbor.create_robot(_robot(team, "ci", ["pull", "push"]))
    assert made.id is not None
    robot = Account(str(made.name), str(made.secret))

    assert robot.name == f"robot${team.name}+ci"
    assert look(_ROBOT, name=robot.name) == [("builds", 0)]
    assert _pings(registry, robot) == 200
    ((project_id,),) = look("SELECT id FROM projects WHERE name = :name", name=team.name)
    listed = await harbor.get_robots(query=f"Level=project,ProjectID={project_id}")
    assert [found.name for found in listed] == [robot.name]
    found = await harbor.get_robot(made.id)
    assert (found.level, found.disable, found.secret) == ("project", False, None)

    found.disable = True
    await harbor.update_robot(made.id, found)
    assert look(_ROBOT, name=robot.name) == [("builds", 1)]
    assert _pings(registry, robot) == 401
    await harbor.delete_robot(made.id)
    assert look(_ROBOT, name=robot.name) == []
    with pytest.raises(NotFound):
        await harbor.get_robot(made.id)


async def test_a_robot_gets_a_new_secret_and_the_old_one_is_dead(
    harbor: HarborAsyncClient, team: Team, registry: EntrepotWithAccounts
) -> None:
    """An empty secret asks for a generated one."""
    made = await harbor.create_robot(_robot(team, "ci", ["pull"]))
    assert made.id is not None
    old = Account(str(made.name), str(made.secret))

    fresh = await harbor.refresh_robot_secret(made.id, "")

    new = Account(old.name, str(fresh.secret))
    assert new.secret != old.secret
    assert (_pings(registry, new), _pings(registry, old)) == (200, 401)


async def test_s9_nobody_gives_a_robot_more_than_they_have(
    harbor_as: Callable[[Account], HarborAsyncClient], team: Team, look: Look
) -> None:
    """A project admin makes robots in the own project only; a team lead makes none."""
    before = look("SELECT count(*) FROM robots")

    for role in ("team-lead", "developer", "outsider"):
        with pytest.raises(Forbidden):
            await _create_robot(harbor_as(team.people[role]), _robot(team, role, ["pull"]))

    assert look("SELECT count(*) FROM robots") == before


async def _create_robot(harbor: HarborAsyncClient, robot: RobotCreate) -> None:
    await harbor.create_robot(robot)


async def test_the_last_administrator_cannot_be_deleted_or_demoted(
    harbor: HarborAsyncClient, people: People, look: Look
) -> None:
    """With the last one gone nobody could make another; the tests' other one is none for as long as this takes."""
    ((user_id, *_),) = look(_PERSON, name=ADMINISTRATOR.name)
    ((other_id, *_),) = look(_PERSON, name=people["operations-admin"].name)
    await harbor.set_user_admin(other_id, False)
    try:
        with pytest.raises(HarborAPIException):
            await harbor.delete_user(user_id)
        with pytest.raises(HarborAPIException):
            await harbor.set_user_admin(user_id, False)
    finally:
        await harbor.set_user_admin(other_id, True)

    assert len(look(_PERSON, name=ADMINISTRATOR.name)) == 1
    assert look(_SYSTEM_ROLES, id=user_id) == [("operations-admin",)]
