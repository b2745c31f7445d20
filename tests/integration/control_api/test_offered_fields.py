"""`q` and `sort` do what they say or are refused: what deletes what it filtered must not delete all (S25, S26)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_origin

import msgspec
import pytest

from entrepot.control_api.declarations import path_parameters
from entrepot.control_api.routes import all_endpoints
from tests.drivers.metadata.machine_accounts import on_sqlite

if TYPE_CHECKING:
    from entrepot.control_api.declarations import AnyEndpoint
    from tests.integration.control_api.cast import Cast

pytestmark = on_sqlite

_BY_NAME: Final = {"/usergroups": "group_name", "/labels": "name", "/robots": "name"}


def _lacking(field: str) -> list[tuple[str, str]]:
    """Return the listings that declare no such field, and their paths with something in every place."""
    return [
        (endpoint.operation, _path(endpoint))
        for endpoint in all_endpoints()
        if endpoint.method == "GET" and get_origin(endpoint.result) is list
        if field not in {one.name for one in msgspec.structs.fields(endpoint.inputs)}
    ]


def _path(endpoint: AnyEndpoint) -> str:
    path = endpoint.path.removeprefix("/api/v2.0")
    for name in path_parameters(path):
        path = path.replace(f"{{{name}}}", "apps" if "project" in name else "1")
    required = {"api.user.search": "?username=a", "api.group.search": "?groupname=a"}
    return path + required.get(endpoint.operation, "")


@pytest.mark.parametrize("field", ["q", "sort"])
async def test_a_listing_that_has_no_such_field_refuses_it(cast: Cast, field: str) -> None:
    await cast.made("/projects", {"project_name": "apps"})
    lacking = _lacking(field)
    async with cast.registry.plain() as admin:
        for operation, path in lacking:
            joint = "&" if "?" in path else "?"
            refused = await admin.get(f"{path}{joint}{field}=name%3Dx")
            assert refused.status_code == 400, operation
            assert refused.json()["errors"][0]["message"].startswith(f"{field}: this listing has "), operation
            empty = await admin.get(f"{path}{joint}{field}=")
            assert empty.status_code in {200, 404}, operation  # 404: there is no such group

    assert {operation for operation, _ in lacking} >= {
        *("api.member.list", "api.role.list", "api.role-assignment.list", "api.access-token.list"),
        *("api.session.list", "api.group-member.list", "api.user.search"),
    }


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/projects/apps/members", "q: this listing has no q; it has entityname="),
        ("/role-assignments", "q: this listing has no q and no other filter"),
        ("/sessions", "q: this listing has no q; it has all="),
    ],
)
async def test_the_refusal_says_what_there_is_instead(cast: Cast, path: str, message: str) -> None:
    await cast.made("/projects", {"project_name": "apps"})
    async with cast.registry.plain() as admin:
        reply = await admin.get(path, params={"q": "name=x"})

    assert reply.json()["errors"] == [{"code": "BAD_REQUEST", "message": message}]


def _body(path: str, name: str) -> dict[str, Any]:
    access = [{"resource": "label", "action": "list"}]
    entry = {"kind": "system", "namespace": "/", "access": access}
    bodies: dict[str, dict[str, Any]] = {
        "/usergroups": {"group_name": name},
        "/labels": {"name": name, "scope": "g"},
        "/robots": {"name": name, "level": "system", "duration": 7, "permissions": [entry]},
    }
    return bodies[path]


async def _listed(cast: Cast, path: str, **params: str) -> list[str]:
    async with cast.registry.plain() as admin:
        reply = await admin.get(path, params=params)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-total-count"] == str(len(reply.json()))
    return [str(item[_BY_NAME[path]]).removeprefix("robot$") for item in reply.json()]


@pytest.mark.parametrize("path", _BY_NAME)
async def test_a_listing_by_name_is_filtered_and_sorted(cast: Cast, path: str) -> None:
    field = _BY_NAME[path]
    for name in ("beta", "alpha", "gamma_1"):
        await cast.made(path, _body(path, name))

    assert await _listed(cast, path, q=f"{field}=alpha") == ["alpha"]
    assert sorted(await _listed(cast, path, q=f"{field}=~a_")) == ["gamma_1"]
    assert await _listed(cast, path, q=f"{field}=nobody") == []
    assert await _listed(cast, path, sort=field) == ["alpha", "beta", "gamma_1"]
    assert await _listed(cast, path, sort=f"-{field}") == ["gamma_1", "beta", "alpha"]
    assert sorted(await _listed(cast, path, q="", sort="")) == ["alpha", "beta", "gamma_1"]
    async with cast.registry.plain() as admin:
        for refused in ({"q": "nosuch=1"}, {"sort": "nosuch"}):
            assert (await admin.get(path, params=refused)).status_code == 400


@pytest.mark.parametrize(("path", "table"), [("/labels", "labels"), ("/robots", "subjects")])
async def test_a_listing_is_sorted_by_when_things_were_made(cast: Cast, path: str, table: str) -> None:
    for name, made in (("one", 2_000), ("two", 1_000), ("three", 3_000)):
        await cast.made(path, _body(path, name))
        whole = f"robot${name}" if path == "/robots" else name
        await cast.registry.database.fetch(f"UPDATE {table} SET created_at = {made} WHERE name = '{whole}'")

    assert await _listed(cast, path, sort="creation_time") == ["two", "one", "three"]
    assert await _listed(cast, path, sort="-creation_time") == ["three", "one", "two"]


@pytest.mark.parametrize(("path", "own"), [("/usergroups", "group_name"), ("/labels", "name")])
async def test_a_part_is_said_once(cast: Cast, path: str, own: str) -> None:
    """Of two parts one would be passed over."""
    for name in ("alpha", "beta"):
        await cast.made(path, _body(path, name))

    assert await _listed(cast, path, **{own: "alp"}) == ["alpha"]
    async with cast.registry.plain() as admin:
        reply = await admin.get(path, params={own: "alp", "q": f"{own}=~bet"})
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["message"] == f"q: {own} is there twice, in q and beside it"
