"""Who answers for a robot is found with it, on both engines, and is looked up anew when they change (S9, S14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.principals import BY_THE_HOST, Sponsor
from entrepot.auth.project_actions import ListRobot, ReadRobot
from entrepot.auth.robots.permissions import AskedPermissions
from entrepot.auth.robots.sponsors import Answerable
from entrepot.auth.system_actions import DeleteUser
from entrepot.metadata.diagnosis import StoppedRobot
from tests.drivers.metadata.machine_accounts import (
    BOB,
    Accounts,
    asked_robot,
    on_sqlite,
    project_grant,
    system_grant,
)

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase

_ROBOT: Final = "robot$team+ci"


@pytest.mark.parametrize(
    ("creator", "sponsor"),
    [
        ("alice-id", Sponsor("alice-id", 4)),
        ("host:root", BY_THE_HOST),
        ("gone-id", None),
        ("group-id", None),
    ],
)
async def test_a_robot_comes_with_who_answers_for_it_s9(
    accounts: Accounts, database: RawDatabase, creator: str, sponsor: Sponsor | None
) -> None:
    """Whichever way it comes in, by the same statement that finds it."""
    issued = await accounts.robots.create(project_grant(), asked_robot())
    await database.fetch("UPDATE subjects SET epoch = 4 WHERE public_id = 'alice-id'")
    await database.fetch(f"UPDATE robots SET creator = '{creator}'")

    assert (await accounts.login(_ROBOT, issued.secret)).sponsor == sponsor
    assert (await accounts.refresh(issued.robot.public_id)).sponsor == sponsor
    assert (await accounts.refresh("alice-id")).sponsor is None


@on_sqlite
async def test_a_robot_is_looked_up_anew_when_who_answers_for_it_moved_s9_s14(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await accounts.robots.create(project_grant(), asked_robot())
    assert (await accounts.login(_ROBOT, issued.secret)).sponsor == Sponsor("alice-id", 0)
    await database.fetch("UPDATE subjects SET epoch = 1 WHERE public_id = 'alice-id'")
    assert (await accounts.login(_ROBOT, issued.secret)).sponsor == Sponsor("alice-id", 0)

    accounts.epochs.seen["alice-id"] = 1

    assert (await accounts.login(_ROBOT, issued.secret)).sponsor == Sponsor("alice-id", 1)


@pytest.mark.parametrize(
    ("change", "answerable"),
    [
        ("UPDATE subjects SET epoch = 1 WHERE public_id = 'alice-id'", Answerable("alice", "present")),
        ("UPDATE subjects SET disabled_at = 1 WHERE public_id = 'alice-id'", Answerable("alice", "disabled")),
        (
            "UPDATE subjects SET kind = 'deleted', name = 'x' WHERE public_id = 'alice-id'",
            Answerable("", "gone"),
        ),
        ("UPDATE robots SET creator = 'host:root'", Answerable("root", "host")),
    ],
)
async def test_a_robot_is_shown_with_who_answers_for_it_and_whether_they_are_there_s9(
    accounts: Accounts, database: RawDatabase, change: str, answerable: Answerable
) -> None:
    """Also to whoever looks for those that stopped, on the host, and to whoever ends an account."""
    issued = await accounts.robots.create(project_grant(), asked_robot())
    await database.fetch(change)

    shown = await accounts.robots.get(project_grant(ReadRobot, BOB), issued.robot.id)
    page = await accounts.robots.list_page(project_grant(ListRobot, BOB), limit=10)
    stopped = await accounts.metadata.diagnosis.stopped_robots(10)

    assert [one.answerable for one in (shown, *page.robots)] == [answerable] * 2
    assert (shown.creator_id is None) == (answerable.state in {"gone", "host"})
    stops = {"disabled": [StoppedRobot(_ROBOT, "alice")], "gone": [StoppedRobot(_ROBOT, None)]}
    assert list(stopped) == stops.get(answerable.state, [])


@on_sqlite
async def test_what_who_answers_for_a_robot_lost_is_told_s9(accounts: Accounts) -> None:
    both = (AskedPermissions("project", "team", (("repository", "pull"), ("repository", "push"))),)
    issued = await accounts.robots.create(project_grant(), asked_robot(permissions=both))
    accounts.decisions.table["alice-id", "team"] = {"repository:pull"}

    shown = await accounts.robots.get(project_grant(ReadRobot, BOB), issued.robot.id)

    assert shown.answerable == Answerable("alice", "present", ("team=repository:push",))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE subjects SET disabled_at = 1 WHERE kind = 'robot'",
        "UPDATE robots SET expires_at = 1",
        "UPDATE robots SET creator = 'bob-id'",
    ],
)
async def test_robots_that_stand_still_anyway_do_not_stop_with_a_person(
    accounts: Accounts, database: RawDatabase, change: str
) -> None:
    await accounts.robots.create(project_grant(), asked_robot())
    before = await accounts.robots.count_of_person(system_grant(DeleteUser), "alice-id")
    await database.fetch(change)
    await database.fetch("UPDATE subjects SET disabled_at = 1 WHERE public_id = 'alice-id'")

    assert before == 1
    assert await accounts.robots.count_of_person(system_grant(DeleteUser), "alice-id") == 0
    assert list(await accounts.metadata.diagnosis.stopped_robots(10)) == []
