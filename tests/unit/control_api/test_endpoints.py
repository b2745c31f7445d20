"""The endpoints that need no account: what they answer, and to whom."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from harborapi import HarborAsyncClient
from harborapi.exceptions import Forbidden, Unauthorized

from entrepot.auth.robots.permissions import ROBOT_PROJECT_PERMISSIONS, ROBOT_SYSTEM_PERMISSIONS
from entrepot.control_api.declarations import USUAL_BODY_BYTES
from entrepot.control_api.routes import all_endpoints
from tests.unit.control_api.stand import SECRETS, Stand, calling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.kernel.asgi import Application

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the .model_fields.:DeprecationWarning")

_ALICE = "Basic " + base64.b64encode(b"alice:alice-secret").decode()
_FORM = {"principal": "alice", "password": "alice-secret"}


_ENDPOINTS = all_endpoints()


def _application(stand: Stand) -> Application:
    return stand.application(_ENDPOINTS)


def _harbor(stand: Stand, name: str) -> HarborAsyncClient:
    """Return Harbor's own client, which takes our application for a server."""
    client = HarborAsyncClient(
        url="http://registry.example/api/v2.0", username=name, secret=SECRETS.get(name, "none")
    )
    transport: Any = httpx.ASGITransport(_application(stand))
    client.client = httpx.AsyncClient(transport=transport)
    return client


async def _get(path: str, name: str = "", stand: Stand | None = None) -> Any:
    async with calling(_application(stand or Stand()), name) as client:
        return await client.get(path)


def _structs_within(kind: Any) -> Iterator[msgspec.inspect.StructType]:
    """Yield the structs that a body is made of."""
    found = kind if isinstance(kind, msgspec.inspect.Type) else msgspec.inspect.type_info(kind)
    if isinstance(found, msgspec.inspect.StructType):
        yield found
        for field in found.fields:
            yield from _structs_within(field.type)
    elif isinstance(found, msgspec.inspect.UnionType):
        for one in found.types:
            yield from _structs_within(one)
    elif isinstance(found, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
        yield from _structs_within(found.item_type)


def test_no_body_gives_null_a_meaning_of_its_own() -> None:
    """What is null is dropped before a body is read, so a field that takes null is one that can be left out."""
    structs = {found.cls: found for endpoint in _ENDPOINTS for found in _structs_within(endpoint.body)}
    takes_null = {
        (kind.__name__, field.name): field.default
        for kind, found in structs.items()
        for field in found.fields
        if isinstance(field.type, msgspec.inspect.UnionType) and field.type.includes_none
    }

    assert len(takes_null) > 20
    assert [name for name, default in takes_null.items() if default is not None] == []


async def test_ping_answers_pong_whatever_the_credentials() -> None:
    """It must answer when nothing else works, so it looks at none."""
    async with calling(_application(Stand())) as client:
        response = await client.get("/api/v2.0/ping", auth=("nobody", "wrong"))

    assert (response.status_code, response.text) == (200, "Pong")
    assert response.headers["content-type"].startswith("text/plain")


async def test_health_tells_of_each_part() -> None:
    assert (await _get("/api/v2.0/health")).json() == {
        "status": "healthy",
        "components": [{"name": "core", "status": "healthy"}, {"name": "database", "status": "healthy"}],
    }


async def test_health_tells_that_a_part_fails_and_not_where_it_is() -> None:
    response = await _get("/api/v2.0/health", stand=Stand(ill=True))

    assert response.status_code == 200
    assert response.json()["status"] == "unhealthy"
    assert response.json()["components"][1]["status"] == "unhealthy"
    assert "db.internal" not in response.text


async def test_parts_are_examined_once_however_many_ask() -> None:
    stand = Stand()
    async with calling(_application(stand)) as client:
        for _ in range(5):
            await client.get("/api/v2.0/health")

    assert stand.examinations == 1


async def test_strangers_learn_little_of_the_system() -> None:
    """No version that a list of known holes could be held against."""
    assert (await _get("/api/v2.0/systeminfo")).json() == {
        "auth_mode": "db_auth",
        "primary_auth_mode": False,
        "self_registration": False,
        "banner_message": "hello",
    }


async def test_those_who_are_known_learn_more() -> None:
    info = (await _get("/api/v2.0/systeminfo", "bob")).json()

    assert info["harbor_version"] == "v2.15.2-entrepot.1.2.3"
    assert (info["registry_url"], info["current_time"]) == ("registry.example", "1970-01-01T00:26:40.000Z")


async def test_permissions_are_for_who_may_create_robots() -> None:
    stand = Stand()
    response = await _get("/api/v2.0/permissions", "alice", stand)

    assert len(response.json()["system"]) == len(ROBOT_SYSTEM_PERMISSIONS)
    assert {"resource": "repository", "action": "pull"} in response.json()["project"]
    assert stand.asked == [("robot:create", None)]
    assert (await _get("/api/v2.0/permissions", "bob")).status_code == 403
    assert (await _get("/api/v2.0/permissions")).status_code == 401


async def test_who_may_create_robots_of_a_project_sees_those_of_projects() -> None:
    stand = Stand()
    response = await _get("/api/v2.0/permissions?project_name_or_id=7", "alice", stand)

    assert response.json()["system"] == []
    assert len(response.json()["project"]) == len(ROBOT_PROJECT_PERMISSIONS)
    assert stand.asked == [("robot:create", 7)]


@pytest.mark.parametrize(("external_url", "secure"), [("", False), ("https://images.example", True)])
async def test_a_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use_s22(
    external_url: str, secure: bool
) -> None:
    async with calling(_application(Stand(external_url=external_url))) as client:
        response = await client.post("/c/login", data=_FORM)

    assert (response.status_code, response.content) == (200, b"")
    attributes = response.headers["set-cookie"].split("; ")
    assert attributes[:4] == ["sid=cookie-of-alice", "Path=/", "HttpOnly", "SameSite=Lax"]
    assert ("Secure" in attributes) is secure
    assert response.headers["x-harbor-csrf-token"] == "csrf-token"


@pytest.mark.parametrize(
    ("form", "status"),
    [(_FORM | {"password": "wrong"}, 401), ({"principal": "alice"}, 422), ({}, 422)],
)
async def test_a_login_that_fails_sets_no_cookie(form: dict[str, str], status: int) -> None:
    async with calling(_application(Stand())) as client:
        response = await client.post("/c/login", data=form)

    assert response.status_code == status
    assert "set-cookie" not in response.headers


async def test_a_login_that_is_no_form_is_told_to_be_one() -> None:
    """And what is missing in a form is named as in other bodies."""
    async with calling(_application(Stand())) as client:
        as_json = await client.post("/c/login", json=_FORM)
        half = await client.post("/c/login", data={"password": "alice-secret"})

    assert (as_json.status_code, half.status_code) == (422, 422)
    assert as_json.json()["errors"][0]["message"] == (
        "the body has to be a form, of the type application/x-www-form-urlencoded"
    )
    assert half.json()["errors"][0]["message"] == "principal: is required"


async def test_another_site_can_neither_log_a_browser_in_nor_out_s22() -> None:
    stand = Stand()
    async with calling(_application(stand)) as client:
        foreign = {"Origin": "https://evil.example"}
        into = await client.post("/c/login", data=_FORM, headers=foreign)
        out = await client.post("/c/log_out", headers=foreign | {"Cookie": "sid=cookie-of-alice"})
        by_get = await client.get("/c/log_out", headers={"Cookie": "sid=cookie-of-alice"})

    assert [into.status_code, out.status_code, by_get.status_code] == [403, 403, 405]
    assert stand.ended == []


async def test_a_logout_ends_the_session_and_the_cookie() -> None:
    stand = Stand()
    async with calling(_application(stand)) as client:
        headers = {"Cookie": "sid=cookie-of-alice", "X-Harbor-CSRF-Token": "csrf-token"}
        response = await client.post("/c/log_out", headers=headers)

    assert (response.status_code, stand.ended) == (200, ["cookie-of-alice"])
    assert response.headers["set-cookie"].startswith("sid=; Max-Age=0; ")


async def test_a_session_can_be_begun_with_json() -> None:
    async with calling(_application(Stand())) as client:
        body = {"username": "alice", "password": "alice-secret"}
        response = await client.post("/api/v2.0/sessions", json=body)

    assert (response.status_code, response.content) == (201, b"")
    assert response.headers["location"] == "/api/v2.0/sessions/s-new"
    assert response.headers["set-cookie"].startswith("sid=cookie-of-alice; ")


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/api/v2.0/sessions", "application/json", b'{"username":"alice","password":"x","more":"%b"}'),
        ("/c/login", "application/x-www-form-urlencoded", b"principal=alice&password=x&more=%b"),
    ],
)
async def test_who_need_not_be_known_sends_no_more_than_a_login_takes_s36_f41(
    path: str, kind: str, body: bytes
) -> None:
    """Reading a MiB of anybody's takes the event loop a fifth of a second."""
    async with calling(_application(Stand())) as client:
        answers = [
            await client.post(path, content=body % (b"1" * size), headers={"Content-Type": kind})
            for size in (16_000, 17_000)
        ]

    assert [answer.status_code for answer in answers] == [401, 413]


async def test_only_lists_may_be_long_s36_f41() -> None:
    """Reading a MiB takes the event loop a fifth of a second: no guest may have that done again and again."""
    long = {endpoint.operation for endpoint in _ENDPOINTS if endpoint.most_body_bytes > USUAL_BODY_BYTES}
    assert long == {"api.robot.create", "api.robot.update", "api.group-member.replace"}

    body = b'{"name": "ci", "nonsense": "%b"}'
    async with calling(_application(Stand()), "alice") as client:
        answers = [
            await client.post("/api/v2.0/access-tokens", content=body % (b"x" * size))
            for size in (USUAL_BODY_BYTES - 100, USUAL_BODY_BYTES)
        ]
    assert [answer.status_code for answer in answers] == [422, 413]
    assert "more than 65536 bytes" in answers[1].text


async def test_a_session_of_somebody_else_does_not_exist_s7() -> None:
    async with calling(_application(Stand()), "alice") as client:
        own = await client.delete("/api/v2.0/sessions/s-alice")
        foreign = await client.delete("/api/v2.0/sessions/s-bob")

    assert (own.status_code, own.content, foreign.status_code) == (200, b"", 404)


async def test_harbors_client_reads_what_is_public() -> None:
    client = _harbor(Stand(), "alice")

    assert await client.ping() == "Pong"
    assert (await client.health_check()).status == "healthy"
    assert (await client.get_system_info()).harbor_version == "v2.15.2-entrepot.1.2.3"
    permissions = await client.get_permissions()
    assert permissions.system
    assert permissions.project


async def test_harbors_client_understands_our_refusals() -> None:
    with pytest.raises(Forbidden):
        await _harbor(Stand(), "bob").get_permissions()
    with pytest.raises(Unauthorized):
        await _harbor(Stand(), "nobody").get_permissions()


async def test_harbors_client_walks_all_pages() -> None:
    """Twenty-five sessions, of which its link shows ten at a time."""
    sessions = await _harbor(Stand(), "alice").get("/sessions")

    assert isinstance(sessions, list)
    assert len(sessions) == 25


@pytest.mark.parametrize(
    ("headers", "status", "ended"),
    [
        ({"Cookie": 'prefs={"a":1}; sid=cookie-of-alice', "X-Harbor-CSRF-Token": "csrf-token"}, 200, True),
        ({"Cookie": 'prefs={"a":1}; sid=cookie-of-alice'}, 403, False),
        ({"Cookie": "sid=cookie-of-alice; sid=x", "X-Harbor-CSRF-Token": "csrf-token"}, 400, False),
        (
            {"Cookie": "sid=cookie-of-alice", "Authorization": _ALICE, "X-Harbor-CSRF-Token": "csrf-token"},
            200,
            True,
        ),
        ({"Cookie": "sid=cookie-of-alice", "Authorization": _ALICE}, 403, False),
        ({"Cookie": "sid=over"}, 200, False),
    ],
)
async def test_a_logout_that_says_so_has_ended_the_session_s22(
    headers: dict[str, str], status: int, ended: bool
) -> None:
    stand = Stand()
    async with calling(_application(stand)) as client:
        response = await client.post("/c/log_out", headers=headers)

    assert (response.status_code, stand.ended) == (status, ["cookie-of-alice"] if ended else [])
