"""A robot may never more than who answers for it (S9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.auth.principals import Principal
from entrepot.auth.robots.sponsored_decisions import SponsoredDecisions
from entrepot.metadata.credential_store import StoredSponsor
from entrepot.oci.names import RepositoryName
from tests.plumbing.identity_doubles import TableOfDecisions

if TYPE_CHECKING:
    from entrepot.metadata.credential_store import CredentialReader

_APP = RepositoryName.parse("team/app")
_ROBOT = Principal("r1", "192.0.2.1", forwarded=False, name="robot$team+ci", kind="robot")
_ALICE = StoredSponsor("alice", "alice", active=True)


class _Sponsors:
    """Answers for one robot with whoever a test says."""

    def __init__(self, sponsor: StoredSponsor | None) -> None:
        self.sponsor = sponsor
        self.reads = 0

    async def find_sponsor(self, robot: str) -> StoredSponsor | None:
        """Return the sponsor."""
        self.reads += 1
        return self.sponsor if robot == "r1" else None


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


def _over(table: TableOfDecisions, sponsor: StoredSponsor | None) -> tuple[SponsoredDecisions, _Sponsors]:
    sponsors = _Sponsors(sponsor)
    reader: CredentialReader = sponsors  # type: ignore[assignment]  # the one method that is asked for  # pyright: ignore[reportAssignmentType]  # as above
    return SponsoredDecisions(table, reader), sponsors


async def _all(decisions: SponsoredDecisions) -> tuple[set[str], set[str], set[str]]:
    standing = await decisions.on_project(_ROBOT, "team")
    assert standing is not None
    return (
        set(await decisions.on_repository(_ROBOT, _APP)),
        set(await decisions.on_registry(_ROBOT)),
        set(standing.permissions),
    )


async def test_a_robot_has_its_own_permissions_while_its_creator_has_them_s9() -> None:
    decisions, _ = _over(_table(), _ALICE)

    assert await _all(decisions) == (
        {"pull", "push"},
        {"catalog:read", "user:list"},
        {"repository:pull", "repository:push"},
    )


async def test_what_its_creator_loses_the_robot_loses_s9() -> None:
    """Asked anew each time: nothing has to be done to the robot."""
    table = _table()
    decisions, _ = _over(table, _ALICE)
    table.table["alice", "team"] = {"repository:pull"}
    table.table["alice", "/"] = {"catalog:read"}

    assert await _all(decisions) == ({"pull"}, {"catalog:read"}, {"repository:pull"})

    table.table = {key: held for key, held in table.table.items() if key[0] == "r1"}
    assert await _all(decisions) == (set(), set(), set())


@pytest.mark.parametrize("sponsor", [None, StoredSponsor("alice", "alice", active=False)])
async def test_a_robot_whose_creator_is_gone_or_disabled_may_nothing_s9(
    sponsor: StoredSponsor | None,
) -> None:
    """The one who left knew its secret."""
    decisions, _ = _over(_table(), sponsor)

    assert await _all(decisions) == (set(), set(), set())


async def test_an_operator_of_the_host_binds_a_robot_to_its_own_permissions_only() -> None:
    decisions, _ = _over(_table(), StoredSponsor("host:root", "", active=False))

    assert await _all(decisions) == (
        {"pull", "push"},
        {"catalog:read", "user:list"},
        {"repository:pull", "repository:push"},
    )


async def test_people_are_decided_about_without_a_further_read() -> None:
    decisions, sponsors = _over(_table(), _ALICE)
    alice = Principal("alice", "192.0.2.1", forwarded=False, name="alice", kind="user")

    assert await decisions.on_repository(alice, _APP) == {"pull", "push", "delete"}
    assert await decisions.on_registry(alice) == {"catalog:read", "user:list", "user:create"}
    standing = await decisions.on_project(alice, 7)
    assert standing is not None
    assert sponsors.reads == 0


async def test_a_project_that_does_not_exist_stays_so_for_robots() -> None:
    decisions, _ = _over(_table(), _ALICE)

    assert await decisions.on_project(_ROBOT, "other") is None
