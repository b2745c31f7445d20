"""Robots against the deletion of their project, and those that one left behind, on both engines (S7, S9)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.auth.errors import ProjectUnknownError
from entrepot.auth.robots.errors import RobotUnknownError
from entrepot.auth.robots.permissions import AskedPermissions
from entrepot.auth.robots.records import IssuedRobot, RobotChanges
from entrepot.auth.system_actions import DeleteSystemRobot, ReadSystemRobot, UpdateSystemRobot
from tests.drivers.metadata.half_units import half_a_unit, started_and_waiting
from tests.drivers.metadata.machine_accounts import (
    PULL,
    ROBOT,
    TEAM,
    Accounts,
    asked_robot,
    audit_of,
    project_grant,
    system_grant,
)

if TYPE_CHECKING:
    from entrepot.metadata.store import Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

_CATALOG = (AskedPermissions("system", "/", (("catalog", "read"),)),)


async def test_no_robot_is_made_in_a_project_that_is_deleted_s9(
    accounts: Accounts, database: RawDatabase
) -> None:
    """Nor on the system with anything in it: the judgement about it is of before, here or on another node."""
    await accounts.metadata.write(lambda tx: tx.projects.delete(TEAM))

    for grant in (project_grant(), system_grant()):
        with pytest.raises(ProjectUnknownError):
            await accounts.robots.create(grant, asked_robot())
    made = (await accounts.robots.create(system_grant(), asked_robot(permissions=_CATALOG))).robot
    with pytest.raises(ProjectUnknownError):
        await accounts.robots.update(system_grant(UpdateSystemRobot), made.id, RobotChanges(permissions=PULL))

    assert await database.fetch("SELECT name FROM subjects WHERE kind = 'robot'") == [("robot$ci",)]
    assert [record["action"] for record in await audit_of(database)] == ["robot.create"]


async def test_a_robot_and_the_deletion_of_its_project_at_once_leave_no_robot_behind_s9(
    accounts: Accounts, database: RawDatabase
) -> None:
    async def delete(tx: Transaction) -> None:
        if await tx.projects.hold(TEAM) is not None:
            await tx.projects.delete(TEAM)

    robots = [accounts.robots.create(project_grant(), asked_robot(f"ci{number}")) for number in range(4)]
    outcomes = await asyncio.gather(
        *robots[:2], accounts.metadata.write(delete), *robots[2:], return_exceptions=True
    )

    assert {type(one) for one in outcomes} <= {IssuedRobot, ProjectUnknownError, type(None)}
    assert await database.count("robots") == 0


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("make_grant", [project_grant, system_grant])
async def test_a_robot_waits_for_the_deletion_of_its_project_and_is_refused_s9(
    accounts: Accounts, database: RawDatabase, make_grant: Any
) -> None:
    """Step by step; on SQLite there is one writer at a time."""
    async with half_a_unit(database) as deletion:
        assert await deletion.projects.hold(TEAM) is not None
        making = await started_and_waiting(accounts.robots.create(make_grant(), asked_robot()))
        await deletion.projects.delete(TEAM)

    with pytest.raises(ProjectUnknownError):
        await making
    assert await database.count("robots") == 0


async def test_a_robot_that_a_deleted_project_left_behind_is_seen_and_removed_on_the_system_s7(
    accounts: Accounts, database: RawDatabase
) -> None:
    """Such as earlier versions left: nobody could be granted anything in its project."""
    stranded = (await accounts.robots.create(project_grant(), asked_robot())).robot
    await database.fetch("UPDATE projects SET deleted_at = 1 WHERE id = 1")

    assert await accounts.robots.home(stranded.id) is None
    assert (await accounts.robots.get(system_grant(ReadSystemRobot), stranded.id)).name == ROBOT
    for act in (
        accounts.robots.update(
            system_grant(UpdateSystemRobot), stranded.id, RobotChanges(permissions=_CATALOG)
        ),
        accounts.robots.replace_secret(system_grant(UpdateSystemRobot), stranded.id),
    ):
        with pytest.raises(RobotUnknownError):
            await act
    await accounts.robots.delete(system_grant(DeleteSystemRobot), stranded.id)

    assert await database.count("robots") == 0
    assert await database.value("SELECT count(*) FROM subjects WHERE name = 'robot$team+ci'") == 0
