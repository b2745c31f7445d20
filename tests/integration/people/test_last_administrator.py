"""Somebody is left who administers, by whatever way the last one would go: on each engine, between nodes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.host import HostDecisions, host_operator, host_rights
from entrepot.auth.people.administrators import Administrators
from entrepot.auth.people.groups import Groups
from entrepot.auth.people.people import People
from entrepot.auth.role_assignments import RoleAssignments
from entrepot.auth.role_errors import LastOperationsAdminError
from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.identity_rows import IdentityRows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.metadata.store import Metadata
    from tests.integration.people.conftest import Office

_ROLE: Final = "operations-admin"
_ADVICE: Final = (
    "nobody would be left to administer the registry: first give the role operations-admin to another person who is "
    "not disabled, or to a group that has one"
)


@dataclass(frozen=True, slots=True)
class _World:
    """Who administers: `person`, by the `assignment`, and where it is that of a group, as the only one in `group`."""

    office: Office
    rows: IdentityRows
    person: int
    group: int
    assignment: int
    bystander: int

    async def holders(self) -> set[int]:
        """Return who has the role and is not kept out, as the database says."""
        store = self.office.metadata
        return set(await store.write(lambda tx: tx.role_assignments.active_holders(_ROLE)))


class _Node:
    """The services of one node, used by the operator of the host, who may everything but leave nobody."""

    def __init__(self, office: Office, metadata: Metadata) -> None:
        rights, decisions = host_rights(metadata.standings), HostDecisions(metadata.standings)
        self.people = People(metadata, office.hashing, office.policy, rights)
        self.groups = Groups(metadata, rights)
        self.administrators = Administrators(metadata, decisions)
        self.assignments = RoleAssignments(metadata, decisions)
        self.grant = office.grant(host_operator())


async def _by_group(office: Office) -> _World:
    """Let somebody administer by a group, beside those who do not count: robots, the disabled, disabled groups."""
    rows, database = IdentityRows(office.database), office.database
    await database.fetch("DELETE FROM role_assignments")
    person, bystander, gone = [await rows.user(name) for name in ("bob", "eve", "gone")]
    group = await rows.group("ops", person, gone)
    closed = await rows.group("closed", bystander)
    assignment = await rows.give(group, _ROLE)
    for other in (gone, closed, await rows.robot("robot$all", [])):
        await rows.give(other, _ROLE)
    for other in (gone, closed):
        await rows.disable(other)
    return _World(office, rows, person, group, assignment, bystander)


async def _by_name(office: Office) -> _World:
    """Let one person administer by name, beside a group with the role in which nobody counts."""
    world = await _by_group(office)
    await office.database.fetch(f"DELETE FROM group_members WHERE user_id = {world.person}")
    number = await world.rows.give(world.person, _ROLE)
    return _World(office, world.rows, world.person, world.group, number, world.bystander)


_Way = tuple[str, "Callable[[_Node, _World], Awaitable[object]]"]
_ON_PEOPLE: Final[tuple[_Way, ...]] = (
    ("delete the person", lambda node, world: node.people.delete(node.grant, world.person)),
    ("disable the person", lambda node, world: node.people.disable(node.grant, world.person)),
    ("take the role", lambda node, world: node.assignments.take(node.grant, world.assignment)),
)
_ON_GROUPS: Final[tuple[_Way, ...]] = (
    ("delete the group", lambda node, world: node.groups.delete(node.grant, world.group)),
    (
        "remove the member",
        lambda node, world: node.groups.remove_member(node.grant, world.group, world.person),
    ),
    ("empty the group", lambda node, world: node.groups.replace_members(node.grant, world.group, [])),
)
_UNMAKE: Final[_Way] = (
    "unmake the administrator",
    lambda node, world: node.administrators.unmake(node.grant, world.person),
)


def _named(ways: tuple[_Way, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("way", [way for _, way in ways], ids=[name for name, _ in ways])


async def _require_refused(world: _World, way: Callable[[_Node, _World], Awaitable[object]]) -> None:
    records, epoch = await world.office.records(), await world.office.epoch_of(world.person)

    with pytest.raises(LastOperationsAdminError) as refused:
        await way(_Node(world.office, world.office.metadata), world)

    assert str(refused.value) == _ADVICE
    assert await world.holders() == {world.person}
    assert await world.office.records() == records
    assert await world.office.epoch_of(world.person) == epoch


@_named((*_ON_PEOPLE, *_ON_GROUPS))
async def test_who_alone_administers_by_a_group_is_not_taken_away(
    office: Office, way: Callable[[_Node, _World], Awaitable[object]]
) -> None:
    """Nobody else in the group counts: who is disabled, whoever is in a disabled group, robots."""
    await _require_refused(await _by_group(office), way)


@_named((*_ON_PEOPLE, _UNMAKE))
async def test_who_alone_administers_by_name_is_not_taken_away(
    office: Office, way: Callable[[_Node, _World], Awaitable[object]]
) -> None:
    await _require_refused(await _by_name(office), way)


async def test_members_are_not_replaced_by_those_who_can_not_administer(office: Office) -> None:
    world = await _by_group(office)
    disabled = await world.rows.user("away")
    await world.rows.disable(disabled)

    await _require_refused(
        world, lambda node, _: node.groups.replace_members(node.grant, world.group, [disabled])
    )


@_named((*_ON_PEOPLE, *_ON_GROUPS))
async def test_whoever_administers_by_a_group_goes_where_another_is_left(
    office: Office, way: Callable[[_Node, _World], Awaitable[object]]
) -> None:
    world = await _by_group(office)
    await world.rows.give(world.bystander, _ROLE)

    await way(_Node(office, office.metadata), world)

    assert await world.holders() == {world.bystander}


@_named((*_ON_PEOPLE, _UNMAKE))
async def test_whoever_administers_by_name_goes_where_a_group_has_another(
    office: Office, way: Callable[[_Node, _World], Awaitable[object]]
) -> None:
    """What counts is who can administer, not whether by name."""
    world = await _by_name(office)
    await office.database.fetch(
        f"INSERT INTO group_members (group_id, user_id) VALUES ({world.group}, {world.bystander})"
    )

    await way(_Node(office, office.metadata), world)

    assert await world.holders() == {world.bystander}


async def test_members_are_replaced_by_others_who_administer_then(office: Office) -> None:
    world, node = await _by_group(office), _Node(office, office.metadata)

    await node.groups.replace_members(node.grant, world.group, [world.bystander])

    assert await world.holders() == {world.bystander}


async def test_where_nobody_administers_nothing_else_is_refused_for_it(office: Office) -> None:
    """The way back in is on the host; until then groups and people can be cleared away."""
    world, node = await _by_group(office), _Node(office, office.metadata)
    await world.rows.disable(world.person)

    await node.groups.remove_member(node.grant, world.group, world.person)
    await node.people.delete(node.grant, world.bystander)

    assert await world.holders() == set()


@_named(_ON_GROUPS)
async def test_a_group_and_a_person_that_go_at_once_on_two_nodes_leave_somebody(
    office: Office, way: Callable[[_Node, _World], Awaitable[object]]
) -> None:
    """Each alone would be fine: what one node takes, the other must see before it takes the rest."""
    rows, other = IdentityRows(office.database), await open_metadata(office.database.url, 4, 10.0)
    try:
        nodes = (_Node(office, office.metadata), _Node(office, other))
        for number in range(8):
            await office.database.fetch("DELETE FROM role_assignments")
            first, second = await rows.user(f"first{number}"), await rows.user(f"second{number}")
            group = await rows.group(f"group{number}", first)
            assignment = await rows.give(group, _ROLE)
            await rows.give(second, _ROLE)
            world = _World(office, rows, first, group, assignment, second)

            outcomes = await asyncio.gather(
                way(nodes[number % 2], world),
                nodes[1 - number % 2].people.disable(nodes[0].grant, second),
                return_exceptions=True,
            )

            refused = [type(each) for each in outcomes if isinstance(each, BaseException)]
            assert refused == [LastOperationsAdminError]
            assert len(await world.holders()) == 1
    finally:
        await other.aclose()
