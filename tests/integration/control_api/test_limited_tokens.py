"""Whoever is refused by nothing but the limits of their access token is told so; all others what anybody is (S19)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.drivers.metadata.machine_accounts import on_sqlite

if TYPE_CHECKING:
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite

_PASSWORD: Final = "Bq7#mxLp-canary-1"
_ANYBODY: Final = "there is no such project, or you may not do this in it: ask who administers it for a role"


def _limits(permission: str, where: str) -> str:
    return (
        f"this access token is not good for {permission} {where}, though you have that right: its "
        "limits leave it out; present one that is, or the password"
    )


async def _message(registry: Registry, secret: str, method: str, path: str, body: Any = None) -> str:
    """Return what somebody is told who is refused, which is what stands on record, too."""
    async with registry.plain("ann", secret) as client:
        refused = await client.request(method, path, json=body)
    assert refused.status_code == 403, path
    message = refused.json()["errors"][0]["message"]
    assert json.loads(registry.notes.records[-1].body)["event.reason"] == message
    return str(message)


async def _begin(registry: Registry, **limits: list[str]) -> str:
    """Make ann a developer in `team`, beside a project of others, and return the secret of a limited token."""
    async with registry.plain() as admin:
        for name in ("team", "other", "hidden"):
            await admin.post("/projects", json={"project_name": name})
        await admin.post("/users", json={"username": "ann", "password": _PASSWORD})
        for name in ("team", "other"):
            body = {"role_id": 2, "member_user": {"username": "ann"}}
            made = await admin.post(f"/projects/{name}/members", json=body)
            assert made.status_code == 201
    async with registry.plain("ann", _PASSWORD) as ann:
        token = await ann.post("/access-tokens", json={"name": "ci", **limits})
    assert token.status_code == 201
    return str(token.json()["secret"])


async def test_limits_are_told_where_the_token_is_good_for_something_s19(registry: Registry) -> None:
    """Of other projects not even that there are any: by numbers one would learn the names of all."""
    secret = await _begin(registry, permissions=["repository:pull"], projects=["team"])

    read = await _message(registry, secret, "GET", "/projects/team")
    elsewhere = await _message(registry, secret, "GET", "/projects/other")

    assert read == _limits("project:read", "in project team")
    assert elsewhere == _ANYBODY


@pytest.mark.parametrize("project", ["hidden", "nope"])
async def test_of_a_project_that_is_not_ones_own_nothing_is_told_s19(
    registry: Registry, project: str
) -> None:
    """Whether it is there does not show, with the token or without."""
    secret = await _begin(registry, permissions=["repository:pull"], projects=["team"])

    by_token = await _message(registry, secret, "GET", f"/projects/{project}")
    by_password = await _message(registry, _PASSWORD, "GET", f"/projects/{project}")

    assert by_token == by_password == _ANYBODY


async def test_a_right_that_the_person_lacks_as_well_is_told_as_to_anybody_s19(registry: Registry) -> None:
    """Also where the limits would leave it out besides."""
    secret = await _begin(registry, permissions=["project:read", "repository:pull"])
    body = {"role_id": 2, "member_user": {"username": "admin"}}

    by_token = await _message(registry, secret, "POST", "/projects/team/members", body)
    by_password = await _message(registry, _PASSWORD, "POST", "/projects/team/members", body)

    assert by_token == by_password
    assert by_token.startswith("this takes member:create in project team: ask who administers it")


async def test_limits_are_told_on_the_system_as_well(registry: Registry) -> None:
    async with registry.plain() as admin:
        made = await admin.post("/access-tokens", json={"name": "ci", "permissions": ["user:read"]})
        secret = made.json()["secret"]
    async with registry.plain("admin", secret) as limited:
        refused = await limited.get("/users")
        missing = await limited.get("/projects/nope")

    assert refused.status_code == 403
    assert refused.json()["errors"][0]["message"] == _limits("user:list", "on the system")
    assert (missing.status_code, missing.json()["errors"][0]["message"]) == (403, _ANYBODY)


_NOWHERE: Final = (
    "this takes robot:create on the system or in some project: ask who administers a project for a role that permits "
    "it, or an operations administrator"
)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"permissions": ["member:create"]}, _limits("robot:create", "in any project")),
        ({"projects": ["team"]}, _limits("robot:create", "in any project")),
        ({"permissions": ["robot:create"], "projects": ["team"]}, _limits("robot:create", "in any project")),
        ({"permissions": ["robot:create"], "projects": ["own"]}, None),
    ],
)
async def test_limits_are_told_to_who_could_give_robots_rights_in_some_project_s19(
    registry: Registry, limits: dict[str, list[str]], reason: str | None
) -> None:
    """Not in which, which the limits may leave out: they do not name what they are not for."""
    await _begin(registry)
    async with registry.plain() as admin:
        await admin.post("/projects", json={"project_name": "own"})
        body = {"role_id": 1, "member_user": {"username": "ann"}}
        assert (await admin.post("/projects/own/members", json=body)).status_code == 201
    async with registry.plain("ann", _PASSWORD) as ann:
        made = await ann.post("/access-tokens", json={"name": "limited", **limits})

    secret = made.json()["secret"]
    if reason is None:
        async with registry.plain("ann", secret) as client:
            assert (await client.get("/permissions")).status_code == 200
    else:
        assert await _message(registry, secret, "GET", "/permissions") == reason


async def test_limits_are_not_told_to_who_could_give_robots_nothing_s19(registry: Registry) -> None:
    """And on the system to who could give them everything."""
    secret = await _begin(registry, permissions=["repository:pull"])
    async with registry.plain() as admin:
        made = await admin.post("/access-tokens", json={"name": "ci", "permissions": ["repository:pull"]})
    async with registry.plain("admin", made.json()["secret"]) as limited:
        of_admin = await limited.get("/permissions")

    assert await _message(registry, secret, "GET", "/permissions") == _NOWHERE
    assert await _message(registry, _PASSWORD, "GET", "/permissions") == _NOWHERE
    assert of_admin.json()["errors"][0]["message"] == _limits("robot:create", "on the system")
