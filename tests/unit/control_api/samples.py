"""Endpoints that exist in tests only: one for each demand and habit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from entrepot.auth.project_actions import CreateLabel, ReadProject, UpdateMember
from entrepot.auth.system_actions import CreateSystemLabel, CreateUser
from entrepot.control_api.declarations import Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import Anyone, Gate, InProject, OneOf, OnSelf, OnSystem, Public
from entrepot.control_api.names import repository_of
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, created, json_reply, page_reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.grants import ProjectGrant, SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import Demand, PublicDemand
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["SAMPLES", "MemberInputs", "NewUser", "sample"]


class NewUser(msgspec.Struct, frozen=True):
    """What may be written."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=8)]
    age: Annotated[int, msgspec.Meta(ge=0)] = 0


class MemberInputs(msgspec.Struct, frozen=True):
    """A member of a project."""

    project_name_or_id: str
    mid: int


class RepositoryInputs(msgspec.Struct, frozen=True):
    """A repository of a project, which is named, never numbered."""

    project_name: str
    repository_name: str


class ScopeInputs(PageInputs, frozen=True):
    """Query fields that bear names which mean something to the framework."""

    scope: str = ""
    state: str = ""


async def create_user(
    _services: ControlServices, call: Call[SystemGrant[CreateUser], NoInputs, NewUser]
) -> Reply:
    """Answer where the new person would be."""
    return created(f"/api/v2.0/users/{call.body.username}-{call.body.age}")


async def update_member(
    _services: ControlServices, call: Call[ProjectGrant[UpdateMember], MemberInputs, NoBody]
) -> Reply:
    """Answer which project the grant is for, and which member the path names."""
    return json_reply([call.grant.project_id, call.grant.project, call.inputs.mid])


async def read_repository(
    _services: ControlServices, call: Call[ProjectGrant[ReadProject], RepositoryInputs, NoBody]
) -> Reply:
    """Answer which repository is meant."""
    return json_reply(repository_of(call.grant.project, call.inputs.repository_name).text)


async def list_things(_services: ControlServices, call: Call[Any, ScopeInputs, NoBody]) -> Reply:
    """Answer with one page of thirty numbers."""
    inputs = call.inputs
    shown = list(range(30))[inputs.offset : inputs.offset + inputs.page_size]
    return page_reply([inputs.scope, inputs.state, *shown], 30, inputs, call.head)


async def create_label(_services: ControlServices, call: Call[Gate, NoInputs, NoBody]) -> Reply:
    """Ask for what is declared."""
    await call.grant.project(CreateLabel, "apps")
    return DONE


async def ask_for_more(_services: ControlServices, call: Call[Gate, NoInputs, NoBody]) -> Reply:
    """Ask for what is not declared."""
    await call.grant.system(CreateUser)
    return DONE


async def ask_for_nothing(_services: ControlServices, _call: Call[Gate, NoInputs, NoBody]) -> Reply:
    """Answer without having asked."""
    return json_reply("a secret")


async def crash(_services: ControlServices, _call: Call[None, NoInputs, NoBody]) -> Reply:
    """Fail in a way that nobody thought of."""
    raise ZeroDivisionError("password=hunter2")


async def done(_services: ControlServices, _call: Call[Any, Any, Any]) -> Reply:
    """Answer that it is done."""
    return DONE


def sample(
    method: Any,
    path: str,
    demand: Demand[Any] | PublicDemand,
    handler: Callable[[ControlServices, Call[Any, Any, Any]], Awaitable[Reply]] = done,
    inputs: type[msgspec.Struct] = NoInputs,
    body: type[msgspec.Struct] = NoBody,
    status: int = 200,
    operation: str = "",
) -> AnyEndpoint:
    """Return an endpoint."""
    name = operation or f"api.{handler.__name__.replace('_', '-')}"
    return Endpoint(
        method=method,
        path=path,
        operation=name,
        operation_id=name,
        tag="sample",
        summary="",
        demand=demand,
        handler=handler,
        inputs=inputs,
        body=body,
        status=status,
        result=None,
    )


SAMPLES = (
    sample("POST", "/api/v2.0/users", OnSystem(CreateUser), create_user, body=NewUser, status=201),
    sample(
        "PUT",
        "/api/v2.0/projects/{project_name_or_id}/members/{mid}",
        InProject(UpdateMember),
        update_member,
        MemberInputs,
    ),
    sample(
        "GET",
        "/api/v2.0/projects/{project_name}/repositories/{repository_name}",
        InProject(ReadProject, "project_name"),
        read_repository,
        RepositoryInputs,
    ),
    sample("GET", "/api/v2.0/things", Anyone(), list_things, ScopeInputs),
    sample("HEAD", "/api/v2.0/things", OnSelf(), operation="api.things.exist"),
    sample("POST", "/api/v2.0/labels", OneOf((CreateSystemLabel, CreateLabel)), create_label),
    sample("POST", "/api/v2.0/more", OneOf((CreateLabel,)), ask_for_more),
    sample("GET", "/api/v2.0/nothing", OneOf((CreateLabel,)), ask_for_nothing),
    sample("GET", "/api/v2.0/crash", Public, crash),
    sample("DELETE", "/api/v2.0/mine", OnSelf(), operation="api.mine.delete"),
)
