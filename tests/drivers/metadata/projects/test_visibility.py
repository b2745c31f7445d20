"""What listings over all projects show is what single requests are allowed, on both engines (S9, S15, S19)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.principals import CredentialLimits, Sponsor
from entrepot.auth.project_actions import CreateRobot, ListMember
from tests.drivers.metadata.material import push_manifest
from tests.drivers.metadata.projects.world import ALICE, BOB, NOBODY, named

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
    from tests.drivers.metadata.projects.world import World

_PROJECTS: Final = ("open", "private", "other")
_READS: Final = ("project:read", "repository:list")


@dataclass(frozen=True, slots=True)
class _Robot:
    """A robot that was given permissions in a project or in all of them, by somebody who answers for it."""

    name: str
    namespace: str
    access: tuple[str, ...] = _READS
    sponsor: str = ""

    @property
    def principal(self) -> Principal:
        robot = named(self.name, "robot")
        if not self.sponsor:
            return robot
        return msgspec.structs.replace(robot, sponsor=Sponsor(f"id-{self.sponsor}", 0))


_ROBOTS: Final = (
    _Robot("far", "private"),
    _Robot("blind", "private", ("repository:pull",)),
    _Robot("lists", "private", ("repository:list",)),
    _Robot("wide", "*"),
    _Robot("of-carol", "*", sponsor="carol"),
    _Robot("of-bob", "private", sponsor="bob"),
    _Robot("of-bob-everywhere", "*", sponsor="bob"),
    _Robot("of-dave", "private", sponsor="dave"),
    _Robot("of-erin", "*", sponsor="erin"),
    _Robot("of-disabled", "*", sponsor="disabled"),
    _Robot("of-due", "*", sponsor="due"),
    _Robot("of-nobody", "*", sponsor="gone"),
)


def _limited(name: str, **limits: frozenset[str]) -> Principal:
    return named(name, limits=CredentialLimits("t", **limits))


def _everybody() -> list[Principal]:
    people = ("alice", "bob", "carol", "dave", "erin", "fay", "due")
    limited = [
        _limited("alice", projects=frozenset({"other"})),
        _limited("dave", projects=frozenset({"private"})),
        _limited("alice", permissions=frozenset({"project:read"})),
        _limited("alice", permissions=frozenset({"repository:list"})),
        _limited("dave", permissions=frozenset({"repository:pull"})),
    ]
    due = msgspec.structs.replace(named("due"), must_change_password=True)
    orphan = msgspec.structs.replace(named("wide", "robot"), sponsor=None)
    return [NOBODY, *map(named, people), *limited, due, orphan, *(robot.principal for robot in _ROBOTS)]


async def _settle(world: World) -> None:
    """Alice owns all; Carol is in by a group, Dave by the system, Erin and Fay by custom roles that read half."""
    await world.add_project("open", public="true")
    private, _ = await world.add_project("private"), await world.add_project("other")
    for project in _PROJECTS:
        await push_manifest(world.metadata, repository=f"{project}/app")
    for name in ("carol", "dave", "erin", "fay", "disabled", "due"):
        await world.add_subject(name)
    await world.add_subject("crew", "group")
    await world.add_custom_role("reader", ["project:read", "repository:pull"])
    await world.add_custom_role("lister", ["repository:list"])
    await world.join("crew", "carol")
    await world.give("crew", "guest", private)
    await world.give("dave", "developer")
    await world.give("erin", "reader", private)
    await world.give("fay", "lister", private)
    await world.give("disabled", "operations-admin")
    await world.give("due", "operations-admin")
    await world.database.fetch("UPDATE subjects SET disabled_at = 1 WHERE name = 'disabled'")
    await world.must_change("due")
    for robot in _ROBOTS:
        entry = {"kind": "project", "namespace": robot.namespace, "access": list(robot.access)}
        await world.add_robot(robot.name, [entry])


async def _allowed(world: World, principal: Principal, permission: str) -> list[str]:
    """Return in which projects a single request is allowed."""
    found = [(name, await world.by_roles.on_project(principal, name)) for name in _PROJECTS]
    return sorted(
        name for name, standing in found if standing is not None and permission in standing.permissions
    )


async def test_a_listing_shows_what_single_requests_are_allowed_s9_s15_s19(world: World) -> None:
    await _settle(world)

    for principal in _everybody():
        listed = [name.partition("/")[0] for name in await world.repositories_seen(principal)]
        assert await world.seen(principal) == await _allowed(world, principal, "project:read"), principal
        assert listed == await _allowed(world, principal, "repository:list"), principal


async def test_some_project_is_found_for_whoever_may_in_one_and_not_for_what_is_public_s9_s15_s19(
    world: World,
) -> None:
    """What is not everybody's in public projects takes a right also there."""
    await _settle(world)
    await world.add_project("also-open", public="true")
    await world.give("erin", "project-admin", await world.add_project("own"))
    makes = [{"kind": "project", "namespace": "private", "access": ["robot:create", "member:list"]}]
    await world.add_robot("maker", makes)
    principals = [*_everybody(), named("maker", "robot"), _limited("erin", projects=frozenset({"other"}))]
    names = (*_PROJECTS, "also-open", "own")
    finders: set[tuple[str, str]] = set()

    for action in (CreateRobot, ListMember):
        permission = action.permission.name
        for principal in principals:
            found = await world.visibility.any_project(principal, action)
            allowed = [
                standing.project_id
                for standing in [await world.by_roles.on_project(principal, name) for name in names]
                if standing is not None and permission in standing.permissions
            ]
            assert (found in allowed) if allowed else (found is None), (principal, permission)
            finders |= {(principal.name, permission)} if allowed else set()

    assert ("erin", "robot:create") in finders
    assert ("maker", "robot:create") in finders
    assert ("carol", "member:list") in finders
    assert ("bob", "member:list") not in finders


_ALL: Final = ["open", "other", "private"]
_THEIRS: Final[tuple[tuple[Principal, list[str], list[str]], ...]] = (
    (NOBODY, ["open"], ["open"]),
    (BOB, ["open"], ["open"]),
    (ALICE, _ALL, _ALL),
    (named("carol"), ["open", "private"], ["open", "private"]),
    (named("dave"), _ALL, _ALL),
    (named("erin"), ["open", "private"], ["open"]),
    (named("fay"), ["open"], ["open", "private"]),
    (_limited("dave", projects=frozenset({"private"})), ["private"], ["private"]),
    (_limited("alice", permissions=frozenset({"project:read"})), _ALL, []),
    (_Robot("far", "").principal, ["open", "private"], ["open", "private"]),
    (_Robot("blind", "").principal, ["open"], ["open"]),
    (_Robot("wide", "").principal, _ALL, _ALL),
    (_Robot("of-carol", "", sponsor="carol").principal, ["open", "private"], ["open", "private"]),
    (_Robot("of-bob", "", sponsor="bob").principal, ["open"], ["open"]),
    (_Robot("of-bob-everywhere", "", sponsor="bob").principal, ["open"], ["open"]),
    (_Robot("of-erin", "", sponsor="erin").principal, ["open", "private"], ["open"]),
    (_Robot("of-disabled", "", sponsor="disabled").principal, [], []),
    (_Robot("of-due", "", sponsor="due").principal, [], []),
    (_Robot("of-nobody", "", sponsor="gone").principal, [], []),
)


async def test_each_sees_what_is_public_and_what_is_theirs_s19(world: World) -> None:
    await _settle(world)

    for principal, projects, repositories in _THEIRS:
        assert await world.seen(principal) == projects, principal
        assert await world.repositories_seen(principal) == [f"{name}/app" for name in repositories], principal


async def test_a_robot_loses_the_sight_that_who_answers_for_it_loses_s9(world: World) -> None:
    """Also of what is made afterwards."""
    await _settle(world)
    robot = _Robot("of-carol", "", sponsor="carol").principal
    assert await world.seen(robot) == ["open", "private"]

    await world.database.fetch("DELETE FROM group_members")
    await world.add_project("later")

    assert await world.seen(robot) == ["open"]
    assert await world.repositories_seen(robot) == ["open/app"]


async def test_a_disabled_group_shows_its_members_nothing(world: World) -> None:
    await _settle(world)
    await world.database.fetch("UPDATE subjects SET disabled_at = 1 WHERE name = 'crew'")

    assert await world.seen(named("carol")) == ["open"]


async def test_whoever_may_list_projects_sees_all_of_them_and_into_none(world: World) -> None:
    """The permission `project:list` of the system, with a custom role or a robot."""
    await _settle(world)
    await world.add_custom_role("surveyor", ["project:list"], "system")
    await world.give("bob", "surveyor")
    await world.add_robot("survey", [{"kind": "system", "namespace": "/", "access": ["project:list"]}])

    for principal in (BOB, named("survey", "robot")):
        assert await world.seen(principal) == ["open", "other", "private"]
        assert await world.repositories_seen(principal) == ["open/app"]
    assert await world.seen(_limited("bob", permissions=frozenset({"repository:list"}))) == []
    assert await world.seen(_limited("bob", projects=frozenset({"other"}))) == ["other"]


async def test_roles_are_told_of_people_only(world: World) -> None:
    """A robot has none, and those of whoever answers for it are not its own."""
    await _settle(world)
    robot = _Robot("of-carol", "", sponsor="carol").principal

    assert await world.roles_told(named("carol")) == {"open": set(), "private": {"guest"}}
    assert await world.roles_told(robot) == {"open": set(), "private": set()}


async def test_a_private_project_does_not_exist_for_outsiders_s19(world: World) -> None:
    await world.add_project("private")

    assert await world.exists(ALICE, "private") is True
    assert await world.exists(BOB, "private") is False
    assert await world.exists(BOB, "missing") is False
    assert await world.exists(ALICE, "") is False
