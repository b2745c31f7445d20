"""Pushes, pulls and deletes with a limited access token: what stands in the way is told as far as its owner knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.grants import Delete, Pull, Push
from entrepot.auth.principals import CredentialLimits
from entrepot.oci.names import RepositoryName
from tests.integration.identity import Identity, open_identity, principal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.auth.grants import Action
    from entrepot.auth.principals import Principal

_PULLS: Final = CredentialLimits("token-1", frozenset({"repository:pull"}), frozenset({"team"}))
_ANYBODY: Final = "there is no such repository, or you may not do this with it: "


@pytest.fixture
async def identity(tmp_path: Path) -> AsyncIterator[Identity]:
    """Return a store in which ann is a developer of `team`; `hidden` is not hers, and there is no `nope`."""
    async with open_identity(tmp_path) as opened:
        team = await opened.rows.project("team")
        await opened.rows.project("hidden")
        await opened.rows.give(await opened.rows.user("ann"), "developer", team)
        yield opened


async def _told(identity: Identity, who: Principal, action: type[Action], name: str) -> str:
    with pytest.raises(AccessDeniedError) as refused:
        await identity.authorizer.authorize(who, action, RepositoryName.parse(name))
    return str(refused.value)


async def test_a_push_that_only_the_limits_leave_out_says_so_s15(identity: Identity) -> None:
    ann = principal("ann", limits=_PULLS)

    granted = await identity.authorizer.authorize(ann, Pull, RepositoryName.parse("team/app"))
    told = await _told(identity, ann, Push, "team/app")

    assert granted.principal is ann
    assert told == (
        "this access token is not good for repository:push in project team, though you have that right: its "
        "limits leave it out; present one that is, or the password"
    )


@pytest.mark.parametrize(
    ("action", "name"),
    [(Delete, "team/app"), (Pull, "hidden/app"), (Push, "nope/app"), (Delete, "hidden/app")],
)
async def test_where_the_right_is_missing_too_limits_are_not_told_s19(
    identity: Identity, action: type[Action], name: str
) -> None:
    by_token = await _told(identity, principal("ann", limits=_PULLS), action, name)
    by_password = await _told(identity, principal("ann"), action, name)

    assert by_token == by_password
    assert by_token.startswith(_ANYBODY)


async def test_a_refusal_without_limits_asks_no_more_than_before(identity: Identity) -> None:
    """Also of an access token that has none."""
    for limits in (None, CredentialLimits("token-1")):
        identity.counts.reset()
        await _told(identity, principal("ann", limits=limits), Delete, "team/app")
        assert dict(identity.counts.statements) == {
            "standings.in_project_by_name": 1,
            "standings.on_system": 1,
        }


async def test_the_catalog_is_told_alike(identity: Identity) -> None:
    await identity.rows.give(await identity.rows.user("root"), "operations-admin")

    with pytest.raises(
        AccessDeniedError, match="not good for catalog:read on the system, though you have that right"
    ):
        await identity.authorizer.authorize_catalog(principal("root", limits=_PULLS))
    with pytest.raises(AccessDeniedError, match="this takes catalog:read on the system: ask"):
        await identity.authorizer.authorize_catalog(principal("ann", limits=_PULLS))
