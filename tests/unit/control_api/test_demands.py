"""A handler gets the grant that its endpoint demands, or is not called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from entrepot.auth.project_actions import ReadProject, UpdateMember
from entrepot.auth.system_actions import CreateUser
from entrepot.control_api.admission import Admitter
from entrepot.control_api.application import ControlApplication
from entrepot.control_api.declarations import DeclarationError, NoBody, NoInputs, require_sound
from entrepot.control_api.demands import InProject, OneOf, OnSystem, Public
from entrepot.control_api.framework import build_framework
from entrepot.control_api.routes import all_endpoints
from entrepot.kernel.address_budget import AddressBudget
from tests.unit.control_api.samples import SAMPLES, MemberInputs, NewUser, sample
from tests.unit.control_api.stand import Stand, calling

if TYPE_CHECKING:
    from entrepot.control_api.declarations import AnyEndpoint


async def _call(stand: Stand, method: str, path: str, name: str, **options: Any) -> Any:
    async with calling(stand.application(SAMPLES), name) as client:
        return await client.request(method, path, **options)


@pytest.mark.parametrize(
    ("method", "path", "anonymous", "bob", "alice"),
    [
        ("POST", "/api/v2.0/users", 401, 403, 422),
        ("PUT", "/api/v2.0/projects/apps/members/1", 401, 403, 200),
        ("PUT", "/api/v2.0/projects/none/members/1", 401, 403, 404),
        ("GET", "/api/v2.0/things", 200, 200, 200),
        ("POST", "/api/v2.0/labels", 401, 403, 200),
        ("DELETE", "/api/v2.0/mine", 401, 200, 200),
        ("GET", "/api/v2.0/crash", 500, 500, 500),
    ],
)
async def test_each_demand_lets_in_whom_it_should(
    method: str, path: str, anonymous: int, bob: int, alice: int
) -> None:
    """The right is asked for before the input is looked at: Bob does not learn that his body is wrong."""
    statuses = [(await _call(Stand(), method, path, name)).status_code for name in ("", "bob", "alice")]

    assert statuses == [anonymous, bob, alice]


@pytest.mark.parametrize(
    ("project", "header", "answer"),
    [
        ("apps", None, [7, "apps", 3]),
        ("7", None, [7, "apps", 3]),
        ("7", "false", [7, "apps", 3]),
        ("7", "true", [8, "7", 3]),
    ],
)
async def test_the_grant_is_for_the_project_of_the_path_s7(
    project: str, header: str | None, answer: list[Any]
) -> None:
    """A handler has no other project than that of its grant, so it can't take a member of another one."""
    headers = {"X-Is-Resource-Name": header} if header else {}

    response = await _call(
        Stand(), "PUT", f"/api/v2.0/projects/{project}/members/3", "alice", headers=headers
    )

    assert response.json() == answer


async def test_an_id_that_is_no_number_is_invalid() -> None:
    assert (await _call(Stand(), "PUT", "/api/v2.0/projects/apps/members/x", "alice")).status_code == 422


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v2.0/more"), ("GET", "/api/v2.0/nothing")])
async def test_a_handler_can_neither_ask_for_more_than_declared_nor_forget_to_ask(
    method: str, path: str
) -> None:
    """What it would have answered is not sent."""
    response = await _call(Stand(), method, path, "alice")

    assert response.status_code == 500
    assert "secret" not in response.text


async def test_refusals_are_noted_before_the_answer_i11() -> None:
    stand = Stand()
    await _call(stand, "POST", "/api/v2.0/users", "bob")

    (record,) = stand.notes
    assert (record.action, record.outcome, record.subject) == ("access.denied", "failure", "u-bob")
    assert (record.address, record.object_name) == ("192.0.2.1", "api.create-user")


async def test_a_refusal_that_cannot_be_noted_is_not_answered_as_one_f45() -> None:
    response = await _call(Stand(notes_work=False), "POST", "/api/v2.0/users", "bob")

    assert response.status_code == 503


async def test_to_be_asked_for_credentials_is_no_refusal() -> None:
    stand = Stand()
    await _call(stand, "POST", "/api/v2.0/users", "")

    assert stand.notes == []


def test_every_endpoint_is_declared_in_a_sound_way() -> None:
    require_sound(all_endpoints())


def test_nothing_is_routed_but_what_is_declared() -> None:
    """An endpoint without a declared demand does not exist: every route of the framework carries one."""
    stand = Stand()
    application = stand.application(SAMPLES)
    framework: Any = application._framework
    routed = {
        (method, route.path_format)
        for route in framework.routes
        for method in getattr(route, "route_handler_map", {})
        if method != "OPTIONS"
    }

    assert routed == {(endpoint.method, endpoint.path) for endpoint in SAMPLES}


async def test_a_route_that_was_smuggled_in_is_not_answered() -> None:
    """The guard of the application refuses a handler that no declaration made."""
    from litestar import get

    @get("/api/v2.0/smuggled", sync_to_thread=False)
    def smuggled() -> str:
        return "a secret"

    framework: Any = build_framework(SAMPLES)
    framework.register(smuggled)
    admitter = Admitter(Stand().services(), "")
    application = ControlApplication(framework, admitter, frozenset(), AddressBudget(0))
    async with calling(application, "alice") as client:
        response = await client.get("/api/v2.0/smuggled")

    assert response.status_code == 404


class _Optional(msgspec.Struct, frozen=True):
    project_name_or_id: str = ""


_UNSOUND = {
    "twice": (sample("GET", "/a", Public), sample("GET", "/a", Public, operation="api.other")),
    "twice by another name": (
        sample("GET", "/a/{mid}", Public, inputs=MemberInputs),
        sample("GET", "/a/{other}", Public, operation="api.other"),
    ),
    "one operation for two": (sample("GET", "/a", Public), sample("GET", "/b", Public)),
    "a path without an input": (sample("GET", "/a/{mid}", Public),),
    "a path with an optional input": (sample("GET", "/a/{project_name_or_id}", Public, inputs=_Optional),),
    "a broken path": (sample("GET", "/a/{mid", Public),),
    "no project in the path": (sample("GET", "/a", InProject(ReadProject)),),
    "a project under another name": (
        sample(
            "GET",
            "/a/{project_name_or_id}/{mid}",
            InProject(UpdateMember, "project_name"),
            inputs=MemberInputs,
        ),
    ),
    "no permission": (sample("GET", "/a", OneOf(())),),
    "a body where there is none": (sample("GET", "/a", OnSystem(CreateUser), body=NewUser),),
    "a head with names": (sample("HEAD", "/{project_name_or_id}/{mid}", Public, inputs=MemberInputs),),
    "a name that metrics can't bear": (sample("GET", "/a", Public, operation="getA"),),
}


@pytest.mark.parametrize("endpoints", _UNSOUND.values(), ids=_UNSOUND)
def test_an_unsound_declaration_ends_the_start(endpoints: tuple[AnyEndpoint, ...]) -> None:
    with pytest.raises(DeclarationError):
        build_framework(endpoints)


def test_an_endpoint_without_a_demand_cannot_be_written_down() -> None:
    """The demand has no default."""
    from entrepot.control_api.declarations import Endpoint

    declaration: Any = Endpoint
    with pytest.raises(TypeError, match="demand"):
        declaration(
            method="GET",
            path="/a",
            operation="api.a",
            operation_id="a",
            tag="",
            summary="",
            handler=None,
            inputs=NoInputs,
            body=NoBody,
        )
