"""When a robot ends: counted from now by who prolongs it, from when it was made by Harbor's clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.auth.project_actions import UpdateRobot
from entrepot.auth.robots.errors import InvalidRobotError
from entrepot.auth.robots.records import RobotChanges, RobotLimits
from entrepot.auth.robots.robots import Robots
from tests.drivers.metadata.machine_accounts import (
    BOB,
    ROBOT,
    Accounts,
    asked_robot,
    audit_of,
    on_sqlite,
    project_grant,
    refused,
)

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase

_DAY = 86_400_000


async def _now(accounts: Accounts, robot_id: int) -> int:
    """Return the database's time."""
    row = await accounts.metadata.robots.find(robot_id)
    assert row is not None
    return row.read_at


@pytest.mark.parametrize(
    "made_days_ago", [-365, 0, 200], ids=["made-by-a-clock-ahead", "made-now", "has-expired"]
)
async def test_f27_days_from_now_end_then_whenever_the_robot_was_made(
    accounts: Accounts, database: RawDatabase, made_days_ago: int
) -> None:
    """Also with the days that it was made with; twice as well, and whoever does it answers for it."""
    issued = await accounts.robots.create(project_grant(), asked_robot(duration_days=30))
    number = issued.robot.id
    moved = made_days_ago * _DAY
    await database.fetch(f"UPDATE subjects SET created_at = created_at - ({moved}) WHERE id = {number}")
    await database.fetch(f"UPDATE robots SET expires_at = expires_at - ({moved}) WHERE subject_id = {number}")
    grant = project_grant(UpdateRobot, BOB)

    end = 0
    for days in (30, 1, 30):
        before = await _now(accounts, number)
        changed = await accounts.robots.update(grant, number, RobotChanges(days_from_now=days))
        after = await _now(accounts, number)
        end = changed.expires_at or 0
        assert before <= end - days * _DAY <= after
        assert (changed.duration_days, changed.creator) == (days, "bob-id")
    assert (await accounts.login(ROBOT, issued.secret)).name == ROBOT

    ends = [
        (record["body"]["change"]["before"]["expires_at"], record["body"]["change"]["after"]["expires_at"])
        for record in await audit_of(database)
        if record["action"] == "robot.update"
    ]
    assert all(before != after for before, after in ends)
    assert (ends[0][0], ends[-1][1]) == ((issued.robot.expires_at or 0) - moved, end)


@on_sqlite
async def test_what_a_client_sends_back_after_days_from_now_changes_nothing(accounts: Accounts) -> None:
    """Harbor's clients send the duration that they were shown; another one they count from when it was made."""
    made = (await accounts.robots.create(project_grant(), asked_robot(duration_days=7))).robot
    grant = project_grant(UpdateRobot)
    prolonged = await accounts.robots.update(grant, made.id, RobotChanges(days_from_now=90))

    same = await accounts.robots.update(grant, made.id, RobotChanges(duration_days=90))
    other = await accounts.robots.update(grant, made.id, RobotChanges(duration_days=60))

    assert same.expires_at == prolonged.expires_at
    assert (other.expires_at or 0) - made.created_at == 60 * _DAY


@on_sqlite
async def test_for_ever_is_meant_from_now_on_too_and_two_ends_are_none(accounts: Accounts) -> None:
    made = (await accounts.robots.create(project_grant(), asked_robot(duration_days=7))).robot
    grant = project_grant(UpdateRobot)

    endless = await accounts.robots.update(grant, made.id, RobotChanges(days_from_now=-1, duration_days=7))

    assert (endless.duration_days, endless.expires_at) == (-1, None)
    limited = Robots(
        accounts.metadata, accounts.decisions, accounts.hasher, accounts.memory, RobotLimits(most_days=365)
    )
    for service, changes in (
        (accounts.robots, RobotChanges(days_from_now=30, duration_days=60)),
        (accounts.robots, RobotChanges(days_from_now=0)),
        (accounts.robots, RobotChanges(days_from_now=36_501)),
        (limited, RobotChanges(days_from_now=366)),
    ):
        with pytest.raises(InvalidRobotError) as caught:
            await service.update(grant, made.id, changes)
        assert caught.value.field == "expires_in_days"


@on_sqlite
async def test_a_robot_without_time_left_is_refused_until_it_is_prolonged_s14(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await accounts.robots.create(project_grant(), asked_robot())
    await database.fetch("UPDATE robots SET expires_at = 1")
    assert await refused(accounts, ROBOT, issued.secret) == "expired"

    await accounts.robots.update(
        project_grant(UpdateRobot), issued.robot.id, RobotChanges(days_from_now=issued.robot.duration_days)
    )

    assert (await accounts.login(ROBOT, issued.secret)).name == ROBOT
