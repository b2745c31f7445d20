"""What roles come to, and what somebody lacks of it (S9)."""

from __future__ import annotations

from typing import Final

from entrepot.auth.principals import Principal
from entrepot.auth.rights_of_others import HeldRights, lacking, rights_of
from entrepot.metadata.standing_store import GivenRole
from tests.plumbing.identity_doubles import TableOfDecisions

_ALICE: Final = Principal("alice-id", "192.0.2.1", forwarded=False, name="alice", kind="user")
_TEAM: Final = 7


def test_custom_roles_count_where_their_level_says_and_unreadable_ones_nowhere_s9() -> None:
    rights = rights_of(
        [
            GivenRole("a", None, "system", b'["user:list","user:fly"]'),
            GivenRole("b", _TEAM, "project", b'["label:read"]'),
            GivenRole("c", None, "project", b'["label:create"]'),
            GivenRole("d", _TEAM, "system", b'["role:list"]'),
            GivenRole("e", _TEAM, "project", b"["),
            GivenRole("gone", _TEAM),
        ]
    )

    assert rights == HeldRights(
        system=frozenset({"user:list"}), in_projects={_TEAM: frozenset({"label:read"})}
    )


def test_built_in_roles_hold_in_every_project_where_they_are_given_on_the_system_s9() -> None:
    rights = rights_of([GivenRole("limited-guest", None), GivenRole("limited-guest", _TEAM)])

    assert rights.system == frozenset()
    assert "repository:pull" in rights.everywhere
    assert rights.in_projects[_TEAM] == rights.everywhere


async def test_what_is_lacking_is_looked_for_on_the_system_everywhere_and_in_each_project_s9() -> None:
    decisions = TableOfDecisions(
        {
            ("alice-id", "/"): {"user:update"},
            ("alice-id", "*"): {"label:read"},
            ("alice-id", "team"): {"label:read", "label:create"},
        },
        {_TEAM: "team"},
    )

    async def missing(rights: HeldRights) -> list[str]:
        return list(await lacking(decisions, _ALICE, rights))

    assert await missing(HeldRights(frozenset({"user:update"}), frozenset({"label:read"}))) == []
    assert await missing(HeldRights(in_projects={_TEAM: frozenset({"label:create"})})) == []
    assert await missing(HeldRights(in_projects={99: frozenset({"label:read"})})) == []
    assert await missing(HeldRights(in_projects={99: frozenset({"label:create"})})) == ["label:create"]
    assert await missing(HeldRights(frozenset({"role:list"}), frozenset({"label:create"}))) == [
        "role:list",
        "label:create",
    ]
