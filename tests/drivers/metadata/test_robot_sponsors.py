"""Who answers for a robot is found with it, on both engines, and is looked up anew when they change (S9, S14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.principals import BY_THE_HOST, Sponsor
from tests.drivers.metadata.machine_accounts import (
    Accounts,
    asked_robot,
    on_sqlite,
    project_grant,
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
