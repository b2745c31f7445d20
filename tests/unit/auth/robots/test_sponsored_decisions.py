"""A robot may never more than who answers for it (S9)."""

from __future__ import annotations

import msgspec
import pytest

from entrepot.auth.principals import BY_THE_HOST, Principal, Sponsor
from entrepot.auth.robots.sponsored_decisions import SponsoredDecisions, person_asking
from entrepot.auth.robots.sponsors import sponsor_of
from entrepot.metadata.credential_store import StoredSponsor
from entrepot.oci.names import RepositoryName
from tests.plumbing.identity_doubles import TableOfDecisions

_APP = RepositoryName.parse("team/app")
_ALICE = Sponsor("alice", 3)


def _robot(sponsor: Sponsor | None) -> Principal:
    return Principal("r1", "192.0.2.1", forwarded=False, name="robot$team+ci", kind="robot", sponsor=sponsor)


def _table() -> TableOfDecisions:
    return TableOfDecisions(
        {
            ("r1", "team"): {"repository:pull", "repository:push"},
            ("r1", "/"): {"catalog:read", "user:list"},
            ("alice", "team"): {"repository:pull", "repository:push", "repository:delete"},
            ("alice", "/"): {"catalog:read", "user:list", "user:create"},
        },
        {7: "team"},
    )


async def _all(table: TableOfDecisions, sponsor: Sponsor | None) -> tuple[set[str], set[str], set[str]]:
    decisions, robot = SponsoredDecisions(table), _robot(sponsor)
    standing = await decisions.on_project(robot, "team")
    assert standing is not None
    return (
        set((await decisions.on_repository(robot, _APP)).actions),
        set(await decisions.on_registry(robot)),
        set(standing.permissions),
    )


async def test_a_robot_has_its_own_permissions_while_its_creator_has_them_s9() -> None:
    assert await _all(_table(), _ALICE) == (
        {"pull", "push"},
        {"catalog:read", "user:list"},
        {"repository:pull", "repository:push"},
    )


async def test_what_its_creator_loses_the_robot_loses_s9() -> None:
    """Asked anew each time: nothing has to be done to the robot."""
    table = _table()
    table.table["alice", "team"] = {"repository:pull"}
    table.table["alice", "/"] = {"catalog:read"}

    assert await _all(table, _ALICE) == ({"pull"}, {"catalog:read"}, {"repository:pull"})

    table.table = {key: held for key, held in table.table.items() if key[0] == "r1"}
    assert await _all(table, _ALICE) == (set(), set(), set())


async def test_a_robot_whose_creator_is_gone_may_nothing_s9() -> None:
    """The one who left knew its secret."""
    assert await _all(_table(), None) == (set(), set(), set())


async def test_an_operator_of_the_host_binds_a_robot_to_its_own_permissions_only() -> None:
    assert await _all(_table(), BY_THE_HOST) == (
        {"pull", "push"},
        {"catalog:read", "user:list"},
        {"repository:pull", "repository:push"},
    )


async def test_people_are_decided_about_as_themselves() -> None:
    decisions = SponsoredDecisions(_table())
    alice = Principal("alice", "192.0.2.1", forwarded=False, name="alice", kind="user")

    assert (await decisions.on_repository(alice, _APP)).actions == {"pull", "push", "delete"}
    assert await decisions.on_registry(alice) == {"catalog:read", "user:list", "user:create"}
    assert await decisions.on_project(alice, 7) is not None


async def test_a_sponsor_makes_nobody_but_a_robot_more_s9() -> None:
    """Whoever is no robot has nobody behind them, whatever the principal says."""
    bob = msgspec.structs.replace(_robot(BY_THE_HOST), subject="bob", kind="user")

    assert (await SponsoredDecisions(_table()).on_repository(bob, _APP)).actions == set()


@pytest.mark.parametrize("epochs", [{"r1": 5, "alice": 4}, {"r1": 4, "alice": 5}])
async def test_what_both_were_decided_by_is_the_older_epoch_s9_s14(epochs: dict[str, int]) -> None:
    """One of two decisions may be remembered from before a change that this process did not hear of yet."""
    table = _table()
    table.epochs = epochs
    decisions, robot = SponsoredDecisions(table), _robot(_ALICE)

    standing = await decisions.on_project(robot, "team")
    assert standing is not None
    assert (standing.epoch, (await decisions.on_repository(robot, _APP)).epoch) == (4, 4)


async def test_who_answers_is_asked_about_as_they_were_when_the_robot_was_looked_up_s14() -> None:
    """Else a decision from before their roles were changed would do for a robot that logs in after it."""
    person = person_asking(_ALICE, _robot(_ALICE))

    assert (person.subject, person.epoch) == ("alice", _ALICE.epoch)


async def test_a_project_that_does_not_exist_stays_so_for_robots() -> None:
    assert await SponsoredDecisions(_table()).on_project(_robot(_ALICE), "other") is None


@pytest.mark.parametrize(
    ("subject", "epoch", "expected"),
    [
        ("alice", 3, Sponsor("alice", 3)),
        ("alice", 0, Sponsor("alice", 0)),
        ("alice", None, None),
        ("host:root", None, BY_THE_HOST),
    ],
)
def test_who_answers_for_a_robot_is_a_person_who_is_there_or_the_host_s9(
    subject: str, epoch: int | None, expected: Sponsor | None
) -> None:
    assert sponsor_of(StoredSponsor(subject, epoch)) == expected
