"""Custom roles and roles on the system, on each engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.assignment_store import Assignee
from entrepot.metadata.role_store import NewRole
from tests.drivers.metadata.identity_rows import IdentityRows

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

_NEW = NewRole("puller", "project", "Pulls.", b'["repository:pull"]')


@pytest.fixture
def rows(database: RawDatabase) -> IdentityRows:
    """Return what adds rows."""
    return IdentityRows(database)


async def test_a_role_is_added_once_changed_and_removed(metadata: Metadata) -> None:
    made = await metadata.write(lambda tx: tx.roles.add(_NEW))
    assert made is not None
    assert await metadata.write(lambda tx: tx.roles.add(_NEW)) is None
    assert await metadata.roles.list_all() == [made]
    assert (made.name, made.level, made.description, made.permissions) == (
        "puller",
        "project",
        "Pulls.",
        b'["repository:pull"]',
    )

    await metadata.write(lambda tx: tx.roles.change(made.id, "Lists.", b'["repository:list"]'))
    changed = await metadata.roles.find(made.id)
    assert changed is not None
    assert (changed.name, changed.description, changed.permissions) == (
        "puller",
        "Lists.",
        b'["repository:list"]',
    )
    assert await metadata.roles.find_by_name("puller") == changed
    assert await metadata.write(lambda tx: tx.roles.hold(made.id)) == changed
    assert await metadata.write(lambda tx: tx.roles.hold_by_name("puller")) == changed

    await metadata.write(lambda tx: tx.roles.remove(made.id))
    assert await metadata.roles.find(made.id) is None
    assert await metadata.roles.find_by_name("puller") is None
    assert await metadata.write(lambda tx: tx.roles.hold(made.id)) is None


async def test_a_role_is_assigned_wherever_somebody_has_it(metadata: Metadata, rows: IdentityRows) -> None:
    await rows.give(await rows.user("ann"), "puller", await rows.project("team"))

    assert await metadata.write(lambda tx: tx.roles.is_assigned("puller")) is True
    assert await metadata.write(lambda tx: tx.roles.is_assigned("pusher")) is False


async def test_a_role_on_the_system_is_given_once_and_taken(metadata: Metadata, rows: IdentityRows) -> None:
    ann = await rows.user("ann")

    number = await metadata.write(lambda tx: tx.role_assignments.add_system(ann, "auditor", "id-x"))
    assert number is not None
    assert await metadata.write(lambda tx: tx.role_assignments.add_system(ann, "auditor", "id-x")) is None

    (listed,) = await metadata.role_assignments.list_system(10, 0)
    assert (listed.id, listed.role, listed.assignee, listed.creator) == (
        number,
        "auditor",
        Assignee(ann, "user", "ann"),
        "id-x",
    )
    assert await metadata.write(lambda tx: tx.role_assignments.hold_system(number)) == listed
    assert await metadata.role_assignments.list_system(10, 1) == []
    assert await metadata.role_assignments.count_system() == 1

    await metadata.write(lambda tx: tx.role_assignments.remove_system(number))
    assert await metadata.role_assignments.list_system(10, 0) == []
    assert await metadata.role_assignments.count_system() == 0


async def test_s7_a_member_of_a_project_is_no_assignment_on_the_system(
    metadata: Metadata, rows: IdentityRows
) -> None:
    member = await rows.give(await rows.user("ann"), "guest", await rows.project("team"))

    await metadata.write(lambda tx: tx.role_assignments.remove_system(member))

    assert await metadata.write(lambda tx: tx.role_assignments.hold_system(member)) is None
    assert await metadata.write(lambda tx: tx.roles.is_assigned("guest")) is True


async def test_roles_are_given_to_people_and_groups_only(metadata: Metadata, rows: IdentityRows) -> None:
    ann, robot = await rows.user("ann"), await rows.robot("r", [])
    group = await rows.group("team")

    async def hold_all(tx: Transaction) -> list[Assignee | None]:
        return [await tx.role_assignments.hold_assignee(number) for number in (ann, group, robot, 10**6)]

    found = await metadata.write(hold_all)

    assert found == [Assignee(ann, "user", "ann"), Assignee(group, "group", "team"), None, None]


async def test_active_holders_are_people_who_are_not_disabled(metadata: Metadata, rows: IdentityRows) -> None:
    ann, bob, eve, ida = [await rows.user(name) for name in ("ann", "bob", "eve", "ida")]
    await rows.give(ann, "operations-admin")
    await rows.give(bob, "operations-admin")
    await rows.give(await rows.group("admins", ann, eve), "operations-admin")
    closed = await rows.group("closed", ida)
    await rows.give(closed, "operations-admin")
    await rows.disable(bob)
    await rows.disable(closed)

    holders = await metadata.write(lambda tx: tx.role_assignments.active_holders("operations-admin"))

    assert holders == {ann, eve}


class _NobodyLeftError(Exception):
    """What a unit raises to undo itself."""


async def test_of_administrators_who_demote_each_other_at_once_one_remains(
    metadata: Metadata, rows: IdentityRows
) -> None:
    numbers = [await rows.give(await rows.user(f"admin{n}"), "operations-admin") for n in range(6)]

    async def demote(number: int) -> None:
        async def unit(tx: Transaction) -> None:
            await tx.role_assignments.hold_holders("operations-admin")
            await tx.role_assignments.hold_system(number)
            await tx.role_assignments.remove_system(number)
            if not await tx.role_assignments.active_holders("operations-admin"):
                raise _NobodyLeftError

        await metadata.write(unit)

    outcomes = await asyncio.gather(*map(demote, numbers), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes if outcome is not None] == [_NobodyLeftError]
    assert len(await metadata.role_assignments.list_system(10, 0)) == 1
