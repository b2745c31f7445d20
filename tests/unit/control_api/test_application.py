"""What every answer of the management API has, and what becomes of requests that are none."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.control_api.admission import Admitter
from entrepot.control_api.application import (
    ControlApplication,
    LazyControlApplication,
    build_control_api,
)
from entrepot.control_api.request_bodies import BodyBudget
from entrepot.kernel.address_budget import AddressBudget
from tests.unit.control_api.samples import SAMPLES
from tests.unit.control_api.stand import SECRETS, Stand, calling

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Message, Receive, Scope, Send

_ALICE = ("alice", SECRETS["alice"])


async def _call(method: str, path: str, name: str = "alice", **options: Any) -> Any:
    async with calling(Stand().application(SAMPLES), name) as client:
        return await client.request(method, path, **options)


def _nested(levels: int) -> bytes:
    """Return a body that is good but for its depth, which stands in a field that nobody reads."""
    return b'{"username": "x", "more": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def _scope(method: str) -> Scope:
    return {
        "type": "http",
        "method": method,
        "path": "/api/v2.0/users",
        "raw_path": b"/api/v2.0/users",
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(b"host", b"registry.example")],
        "client": ("192.0.2.1", 1),
    }


def _codes(response: Any) -> list[str]:
    return [error["code"] for error in response.json()["errors"]]


@pytest.mark.parametrize("path", ["/api/v2.0/things", "/api/v2.0/nowhere", "/api/v2.0/crash"])
async def test_every_answer_is_guarded_and_bears_the_id_of_its_request(path: str) -> None:
    response = await _call("GET", path, headers={"X-Request-Id": "from-the-client-1"})

    assert response.headers["x-request-id"] == "from-the-client-1"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_an_id_that_could_forge_log_lines_is_replaced() -> None:
    response = await _call("GET", "/api/v2.0/things", headers={"X-Request-Id": 'x" injected="1'})

    assert len(response.headers["x-request-id"]) == 32


async def test_an_unknown_path_is_not_found() -> None:
    response = await _call("GET", "/api/v2.0/nowhere")

    assert (response.status_code, _codes(response)) == (404, ["NOT_FOUND"])


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    response = await _call("DELETE", "/api/v2.0/things")

    assert (response.status_code, _codes(response)) == (405, ["METHOD_NOT_ALLOWED"])
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_options_lists_the_methods_and_nothing_else() -> None:
    response = await _call("OPTIONS", "/api/v2.0/users", name="")

    assert (response.status_code, response.content) == (204, b"")
    assert "POST" in response.headers["allow"]


async def test_options_and_a_wrong_method_tell_of_all_methods_of_each_path() -> None:
    """Of every path there is, as its endpoints are declared."""
    from entrepot.control_api.routes import all_endpoints

    offered: dict[str, set[str]] = {}
    for endpoint in all_endpoints():
        offered.setdefault(endpoint.path, {"OPTIONS"}).add(endpoint.method)

    async with calling(build_control_api(Stand().services(), "", "1.2.3", AddressBudget(0))) as client:
        for path, methods in offered.items():
            told = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
            assert (await client.options(path)).headers["allow"] == told
            wrong = next(method for method in ("PATCH", "POST", "DELETE", "PUT") if method not in methods)
            assert (await client.request(wrong, path)).headers["allow"] == told


async def test_head_is_get_without_the_body() -> None:
    response = await _call("HEAD", "/api/v2.0/projects/apps/repositories/a")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len('"apps/a"'))


async def test_head_may_be_an_endpoint_of_its_own() -> None:
    """As `HEAD /projects` is: it demands something else than GET on the same path."""
    assert (await _call("HEAD", "/api/v2.0/things", name="")).status_code == 401
    assert (await _call("GET", "/api/v2.0/things", name="")).status_code == 200


async def test_what_crashes_tells_nothing_s27(caplog: pytest.LogCaptureFixture) -> None:
    response = await _call("GET", "/api/v2.0/crash")

    assert response.status_code == 500
    assert response.json() == {"errors": [{"code": "UNKNOWN", "message": "internal server error"}]}
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{bad", 400, "JSON is malformed"),
        (b"", 422, "a body is required"),
        (b"[]", 422, "Expected `object`, got `array`"),
        (b"{}", 422, "username: is required"),
        (b'{"username": 7}', 422, "username: Expected `str`, got `int`"),
        (b'{"username": ""}', 422, "username: Expected `str` of length >= 1"),
        (b'{"username": "x", "age": -1}', 422, "age: Expected `int` >= 0"),
        (_nested(1000), 400, "the body has objects and lists more than 32 levels deep"),
        (b'{"x": ' + b'{"a":' * 12_000, 400, "the body has objects and lists more than 32 levels deep"),
        (b'{"username": "\xff"}', 400, "the body is not UTF-8 (byte 14)"),
        (b'{"\xc3": 1}', 400, "the body is not UTF-8 (byte 2)"),
        (b'{"username": "\\ud800"}', 400, "a text of the body holds half of a surrogate pair"),
        (b'{"username": "\\uDC00"}', 400, "a text of the body holds half of a surrogate pair"),
        (b'{"username": "x", "more": "\\ud83d\\ude00"}', 201, ""),
        (b'{"username": "\\ud83d\\ude00', 400, "Input data was truncated"),
        (b'{"username": "a\\u0000"}', 422, "a text holds no U+0000"),
        (_nested(33), 400, "the body has objects and lists more than 32 levels deep"),
        (_nested(32), 201, ""),
    ],
)
async def test_a_body_is_read_and_validated(body: bytes, status: int, message: str) -> None:
    response = await _call("POST", "/api/v2.0/users", content=body)

    assert response.status_code == status
    assert message in response.text


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"username": "x", "age": None}, 201, "/api/v2.0/users/x-0"),
        ({"username": "x", "age": 3, "more": None}, 201, "/api/v2.0/users/x-3"),
        ({"username": None}, 422, "username: is required"),
    ],
)
async def test_null_is_as_left_out(body: object, status: int, said: str) -> None:
    """Clients made from a schema write null for what their caller did not say."""
    response = await _call("POST", "/api/v2.0/users", json=body)

    assert response.status_code == status
    assert said in response.text + response.headers.get("location", "")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"username": "x", "age": "3"}, "age: Expected `int`, got `str`"),
        ({"username": "x", "age": 3.0}, "age: Expected `int`, got `float`"),
        ({"username": "x", "age": True}, "age: Expected `int`, got `bool`"),
        ({"username": 5}, "username: Expected `str`, got `int`"),
        (["x"], "Expected `object`, got `array`"),
    ],
)
async def test_a_number_is_no_text_and_a_text_no_number(body: object, said: str) -> None:
    """As in Harbor; query fields, which are texts, are read as numbers all the same."""
    response = await _call("POST", "/api/v2.0/users", json=body)

    assert response.status_code == 422
    assert response.json()["errors"] == [{"code": "UNPROCESSABLE_ENTITY", "message": said}]


async def test_fields_that_may_not_be_written_are_ignored_s8() -> None:
    """Harbor's clients send back whole resources; nothing of them but what is listed gets through."""
    body = {"username": "x", "sysadmin_flag": True, "role_id": 1, "user_id": 1, "admin_role_in_auth": True}

    response = await _call("POST", "/api/v2.0/users", json=body)

    assert (response.status_code, response.content) == (201, b"")
    assert response.headers["location"] == "/api/v2.0/users/x-0"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("page=0", 422),
        ("page=-1", 422),
        ("page=one", 422),
        ("page_size=0", 422),
        ("page_size=101", 422),
        ("page_size=100", 200),
        ("page=1&page=2", 400),
        ("scope=p&scope=g", 400),
        ("unknown=1", 200),
    ],
)
async def test_query_fields_are_validated_and_may_be_there_once(query: str, status: int) -> None:
    assert (await _call("GET", f"/api/v2.0/things?{query}")).status_code == status


async def test_a_listing_has_its_count_and_its_links() -> None:
    response = await _call("GET", "/api/v2.0/things?page=2&page_size=2&scope=p&state=on")

    assert response.json() == ["p", "on", 2, 3]
    assert response.headers["x-total-count"] == "30"
    assert response.headers["link"] == (
        '</api/v2.0/things?page=1&page_size=2&scope=p&state=on>; rel="prev" , '
        '</api/v2.0/things?page=3&page_size=2&scope=p&state=on>; rel="next"'
    )


async def test_a_repository_name_is_encoded_twice() -> None:
    """harbor-api.md, section 1: `a/b` is `a%252Fb` in a path."""
    assert (await _call("GET", "/api/v2.0/projects/apps/repositories/a%252Fb")).json() == "apps/a/b"


@pytest.mark.parametrize("path", ["/api/v2.0/%74hings", "/api/v2.0%2Fthings", "/api/v2%2E0/things"])
async def test_a_path_may_not_hide_what_it_names_s39(path: str) -> None:
    """A rule of a proxy for a path must not be passed by escaping a letter of it."""
    response = await _call("GET", path)

    assert (response.status_code, _codes(response)) == (400, ["BAD_REQUEST"])


async def test_a_head_that_nobody_needs_is_refused_f41() -> None:
    assert (await _call("GET", "/api/v2.0/things", headers={"X-Long": "x" * 40_000})).status_code == 413


async def test_a_body_that_nobody_needs_is_refused_s36() -> None:
    response = await _call("POST", "/api/v2.0/users", content=b"x" * (1024 * 1024 + 1))

    assert (response.status_code, _codes(response)) == (413, ["REQUEST_ENTITY_TOO_LARGE"])


async def test_requests_are_counted_by_operation() -> None:
    stand = Stand()
    application = stand.application(SAMPLES)
    async with calling(application, "alice") as client:
        await client.get("/api/v2.0/things")
        await client.get("/api/v2.0/nowhere")

    assert application._metrics.requests._counts == {("api.list-things", 200): 1, ("unknown", 404): 1}


async def test_the_application_is_built_at_the_first_request_once() -> None:
    built: list[int] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def build() -> Any:
        built.append(1)
        return application

    lazy = LazyControlApplication(build)
    assert built == []
    async with calling(lazy) as client:
        statuses = [(await client.get("/api/")).status_code for _ in range(2)]

    assert (statuses, built) == ([204, 204], [1])


def test_nothing_of_the_framework_is_imported_before() -> None:
    """Neither the lazy application nor the table of endpoints costs what Litestar costs."""
    code = (
        "import sys, entrepot.control_api.application, entrepot.control_api.routes;"
        "print([name for name in sys.modules if name.split('.')[0] == 'litestar'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


async def test_the_schema_is_of_openapi_3_1_and_of_all_endpoints() -> None:
    from entrepot.control_api.routes import all_endpoints

    async with calling(build_control_api(Stand().services(), "", "1.2.3", AddressBudget(0))) as client:
        schema = (await client.get("/api/v2.0/openapi.json")).json()

    described = {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    assert schema["openapi"] == "3.1.0"
    assert described == {(endpoint.method, endpoint.path) for endpoint in all_endpoints()}
    assert schema["paths"]["/api/v2.0/permissions"]["get"]["x-permissions"] == [
        "robot:create",
        "robot:create",
    ]
    assert schema["paths"]["/api/v2.0/ping"]["get"]["security"] == []
    assert "status_code" not in json.dumps(schema)


async def test_what_is_sent_for_long_keeps_no_place_that_bodies_need_f41() -> None:
    """Nobody reads the body of a GET, so it is not kept while the answer is sent."""
    streaming, stop = asyncio.Event(), asyncio.Event()

    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b""
        streaming.set()
        await stop.wait()

    bodies = BodyBudget(total_bytes=10)
    application = ControlApplication(
        framework, Admitter(Stand().services(), ""), frozenset(), AddressBudget(100), bodies=bodies
    )
    waiting: list[Message] = [{"type": "http.request", "body": b"x" * 10, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop()

    async def send(message: Message) -> None:
        raise AssertionError(message)

    running = asyncio.create_task(application(_scope("GET"), receive, send))
    await streaming.wait()
    waiting.append({"type": "http.request", "body": b"y" * 10, "more_body": False})
    async with bodies.reading(receive) as body:
        assert body == b"y" * 10
    stop.set()
    await running


async def test_a_broken_client_is_not_answered() -> None:
    """Who goes away in the middle of a body is logged, and nothing of the request is done."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await Stand().application(SAMPLES)(_scope("POST"), receive, send)

    assert sent[0]["status"] == 400
