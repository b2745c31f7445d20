"""People look each other and groups up, page by page; a robot may only by its right, and by who answers for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.control_api.declarations import API_PREFIX
from entrepot.control_api.routes import all_endpoints
from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.building import ADMIN_PASSWORD
from tests.integration.control_api.cast import PASSWORD, reason

if TYPE_CHECKING:
    import httpx

    from tests.integration.control_api.cast import Cast
    from tests.integration.control_api.conftest import Registry

_SEARCHES: Final = (
    ("/users/search?username=te", "user:list", "username"),
    ("/usergroups/search?groupname=te", "user-group:list", "group_name"),
)
_NOTHING_TO_SAY: Final[dict[str, tuple[int, object]]] = {
    "api.session.list": (200, []),
    "api.session.delete": (404, None),
    "api.user.read-current": (404, None),
    "api.user.search": (403, None),
    "api.user.read": (403, None),
    "api.user.update": (403, None),
    "api.user.set-password": (403, None),
    "api.own-permission.list": (200, []),
    "api.group.search": (403, None),
    "api.access-token.list": (403, None),
    "api.access-token.create": (403, None),
    "api.access-token.delete": (403, None),
    "api.project.create": (403, None),
    "api.label.list": (403, None),
    "api.audit-event-type.list": (200, "the same for every registry"),
}
"""By what is for whoever has an account: status, and body where it is no error."""
_PATHS: Final = {"session_id": "none", "token_id": "none", "user_id": "1"}
_QUERIES: Final = {"api.user.search": "?username=te", "api.group.search": "?groupname=te"}
_BODIES: Final[dict[str, dict[str, Any]]] = {
    "api.user.update": {"comment": "seen"},
    "api.user.set-password": {"old_password": PASSWORD, "new_password": "Kt5!zzWq-canary-3"},
    "api.access-token.create": {"name": "new"},
    "api.project.create": {"project_name": "new"},
}


async def _robot(cast: Cast, maker: str, *permissions: str) -> tuple[str, str]:
    """Have a person make a robot of the system; return its name and secret."""
    access = [dict(zip(("resource", "action"), name.split(":"), strict=True)) for name in permissions]
    body = {
        "name": "looker",
        "level": "system",
        "duration": 30,
        "permissions": [{"kind": "system", "namespace": "/", "access": access}],
    }
    reply = await cast.ask(maker, "POST", "/robots", body)
    assert reply.status_code == 201, reply.text
    return reply.json()["name"], reply.json()["secret"]


async def _people(cast: Cast) -> None:
    for name in ("tess", "Ted", "terry", "mate"):
        await cast.person(name)
        await cast.made("/usergroups", {"group_name": name})


@pytest.mark.parametrize(("path", "_permission", "field"), _SEARCHES)
async def test_a_search_tells_how_many_there_are_and_where_the_neighbours_are(
    cast: Cast, path: str, _permission: str, field: str
) -> None:
    """A client walks by `Link` and stops by `X-Total-Count`: whoever is left out is not made a member."""
    await _people(cast)

    pages = [await cast.ask("mate", "GET", f"{path}&page={page}&page_size=1") for page in (1, 2, 3, 4)]
    whole = await cast.ask("mate", "GET", path)

    found = sorted(one[field] for one in whole.json())
    assert (found, whole.headers["x-total-count"]) == (["Ted", "terry", "tess"], "3")
    assert "link" not in whole.headers
    assert sorted(one[field] for page in pages for one in page.json()) == found
    assert [len(page.json()) for page in pages] == [1, 1, 1, 0]
    assert [page.headers["x-total-count"] for page in pages] == ["3"] * 4
    relations = [[link[-5:-1] for link in page.headers["link"].split(" , ")] for page in pages[:3]]
    assert relations == [["next"], ["prev", "next"], ["prev"]]
    assert f"{path.replace('?', '?page=2&page_size=1&')}>" in _next_of(pages[0])


def _next_of(page: httpx.Response) -> str:
    """Return the only link of a first page, with its fields in their order."""
    link: str = page.headers["link"]
    address, _, query = link.removeprefix("<").partition("?")
    fields, _, rest = query.partition(">")
    ordered = sorted(fields.split("&"), key=lambda one: (not one.startswith("page"), one))
    return f"{address.removeprefix(API_PREFIX)}?{'&'.join(ordered)}>{rest}"


@on_sqlite
@pytest.mark.parametrize(("path", "permission", "_field"), _SEARCHES)
async def test_a_robot_finds_people_and_groups_by_its_right_only_s9(
    cast: Cast, registry: Registry, path: str, permission: str, _field: str
) -> None:
    """And no longer than who answers for it holds that, too."""
    await _people(cast)
    others = [name for name in ("user:list", "user-group:list") if name != permission]
    maker = await cast.person("maker", "robot:create", "user:list", "user-group:list", "label:list")
    with_right = await _robot(cast, "maker", permission)
    async with registry.plain(*with_right) as robot:
        seen = await robot.get(path)
    async with registry.plain() as admin:
        for one in (await admin.get("/robots")).json():
            await admin.delete(f"/robots/{one['id']}")
    without = await _robot(cast, "maker", *others)
    async with registry.plain(*without) as robot:
        refused = await robot.get(path)
    async with registry.plain() as admin:
        for one in (await admin.get("/robots")).json():
            await admin.delete(f"/robots/{one['id']}")
    stopped = await _robot(cast, "maker", permission)
    async with registry.plain() as admin:
        await admin.put(f"/users/{maker}/disabled", json={"disabled": True})
    async with registry.plain(*stopped) as robot:
        stops = await robot.get(path)

    assert (seen.status_code, len(seen.json())) == (200, 3)
    lacks = (
        f"this takes {permission} on the system: ask an operations administrator for a role that permits it"
    )
    assert [(one.status_code, reason(one)) for one in (refused, stops)] == [(403, lacks)] * 2


@on_sqlite
@pytest.mark.parametrize(("path", "permission", "_field"), _SEARCHES)
async def test_an_access_token_with_limits_finds_people_and_groups_by_its_permission_only_s15(
    cast: Cast, registry: Registry, path: str, permission: str, _field: str
) -> None:
    """As it lists them, though everybody may search: what is neither in its limits nor its person's right is not."""
    await _people(cast)
    await cast.made("/projects", {"project_name": "team"})
    await cast.person("holder", "user:list", "user-group:list")
    others = [name for name in ("user:list", "user-group:list") if name != permission]
    tokens: tuple[tuple[str, dict[str, list[str]]], ...] = (
        ("holder", {"permissions": [permission]}),
        ("mate", {}),
        ("holder", {"permissions": others}),
        ("mate", {"permissions": [permission]}),
        ("admin", {"permissions": [permission], "projects": ["team"]}),
    )
    replies: list[httpx.Response] = []
    for number, (person, limits) in enumerate(tokens):
        async with registry.plain(person, ADMIN_PASSWORD if person == "admin" else PASSWORD) as client:
            made = await client.post("/access-tokens", json={"name": f"ci-{number}", **limits})
        async with registry.plain(person, made.json()["secret"]) as client:
            replies.append(await client.get(path))

    lacks = (
        f"every person may do this, but an access token with limits takes {permission} on the system, among its own "
        "permissions and among those of its person: present one without limits, or the password"
    )
    assert [(one.status_code, len(one.json())) for one in replies[:2]] == [(200, 3)] * 2
    assert [(one.status_code, reason(one)) for one in replies[2:]] == [(403, lacks)] * 3


@on_sqlite
@pytest.mark.parametrize("end", ["disable", "delete"])
async def test_a_robot_that_nobody_answers_for_is_told_nothing_by_what_is_for_every_account_s9(
    cast: Cast, registry: Registry, end: str
) -> None:
    """All there is of it, by its declarations: what comes later has to be thought about here."""
    own = ("self", "own credential", "own password", "person or", "person or one of", "own or one of")
    endpoints = [one for one in all_endpoints() if one.demand.kind in own]
    assert {one.operation for one in endpoints} == set(_NOTHING_TO_SAY)
    await _people(cast)
    maker = await cast.person("maker", "robot:create", "user:list", "user-group:list", "user:read")
    robot = await _robot(cast, "maker", "user:list", "user-group:list", "user:read")
    async with registry.plain() as admin:
        if end == "disable":
            await admin.put(f"/users/{maker}/disabled", json={"disabled": True})
        else:
            await admin.delete(f"/users/{maker}")

    for one in endpoints:
        path = one.path.removeprefix(API_PREFIX).format(**_PATHS) + _QUERIES.get(one.operation, "")
        async with registry.plain(*robot) as client:
            reply = await client.request(one.method, path, json=_BODIES.get(one.operation))
        status, body = _NOTHING_TO_SAY[one.operation]
        assert (one.operation, reply.status_code) == (one.operation, status)
        if isinstance(body, list):
            assert reply.json() == body
        for name in ("tess", "Ted", "terry", "mate", "admin"):
            assert f'"{name}"' not in reply.text
