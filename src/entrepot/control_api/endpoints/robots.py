"""Robots of projects and of the system, which Harbor's API has under one path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from entrepot.auth.project_actions import (
    CreateRobot,
    DeleteRobot,
    ListRobot,
    ProjectAction,
    ReadRobot,
    UpdateRobot,
)
from entrepot.auth.robots.errors import RobotUnknownError
from entrepot.auth.robots.records import NewRobot, RobotChanges
from entrepot.auth.system_actions import (
    CreateSystemRobot,
    DeleteSystemRobot,
    ListSystemRobot,
    ReadSystemRobot,
    SystemAction,
    UpdateSystemRobot,
)
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OneOf
from entrepot.control_api.endpoints.robot_bodies import (
    PASSED_OVER,
    Robot,
    RobotCreate,
    RobotCreated,
    RobotSec,
    RobotUpdate,
    asked_permissions,
    shown_expiry,
    shown_robot,
)
from entrepot.control_api.errors import InvalidFilterError, InvalidInputError
from entrepot.control_api.filters import FilterField
from entrepot.control_api.homes import grant_at_home
from entrepot.control_api.names import format_time, location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.plain_filters import MADE, NAME, parse_plain_filters
from entrepot.control_api.reply import DONE, json_reply, page_reply
from entrepot.control_api.request_bodies import MAX_BODY_BYTES
from entrepot.control_api.sorting import parse_order
from entrepot.metadata.robot_store import ROBOT_ORDERS

if TYPE_CHECKING:
    from entrepot.auth.grants import ProjectGrant, SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import Gate
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["ROBOT_ENDPOINTS"]

P = TypeVar("P", bound=ProjectAction)
S = TypeVar("S", bound=SystemAction)

_ROBOTS: Final = f"{API_PREFIX}/robots"
_ONE: Final = f"{_ROBOTS}/{{robot_id}}"
_EXACT: Final = frozenset({"exact"})
_FILTERS: Final = {
    "level": FilterField("level", "text", _EXACT),
    "projectid": FilterField("project_id", "number", _EXACT),
    "name": FilterField("name", "text", NAME),
    "creationtime": MADE,
}
_SORTS: Final = {"name": "name", "creationtime": "creation_time"}
_LEVELS: Final = "level: is system, or project with exactly one entry of permissions, of the kind project"


class RobotInputs(msgspec.Struct, frozen=True):
    """Which robot is meant."""

    robot_id: int


class RobotListInputs(PageInputs, frozen=True):
    """Which robots are meant: those of the system, unless `q` says `Level=project,ProjectID=n`.

    A name is the shown one (`robot$team+ci`), with or without what stands before the robot's own.
    """

    q: str = ""
    sort: str = ""


async def _grant(
    services: ControlServices, gate: Gate, number: int, on_system: type[S], in_project: type[P]
) -> SystemGrant[S] | ProjectGrant[P]:
    """Return the grant for a robot of the system, or in the project that it is of.

    Raises:
        RobotUnknownError: there is none; who may not know is refused as for any other (S19).
        AccessDeniedError: the one who asks may not.
    """
    return await grant_at_home(gate, services.robots.home, number, (on_system, in_project), RobotUnknownError)


async def list_robots(services: ControlServices, call: Call[Gate, RobotListInputs, NoBody]) -> Reply:
    """List the robots of the system or of a project.

    Raises:
        InvalidFilterError: the level is unknown, or the project of the level is not named.
    """
    inputs = call.inputs
    filters = parse_plain_filters(inputs.q, _FILTERS)
    level, project = filters.values.get("level", "system"), filters.values.get("project_id")
    if (level, project is None) not in {("system", True), ("project", False)}:
        raise InvalidFilterError("either Level=system, or Level=project,ProjectID=<number>")
    grant = (
        await call.grant.system(ListSystemRobot)
        if project is None
        else await call.grant.project(ListRobot, project)
    )
    page = await services.robots.list_page(
        grant,
        limit=inputs.page_size,
        offset=inputs.offset,
        name=filters.text("name"),
        name_part=filters.part("name"),
        wanted=filters.wanted("name", MADE.name),
        order=parse_order(inputs.sort, _SORTS, ROBOT_ORDERS, "id"),
    )
    return page_reply([shown_robot(robot) for robot in page.robots], page.total, inputs, call.head)


async def create_robot(services: ControlServices, call: Call[Gate, NoInputs, RobotCreate]) -> Reply:
    """Make a robot on the system, or in the project that its one entry names.

    Raises:
        InvalidInputError: the level is unknown, or its project is not named once.
    """
    body, gate = call.body, call.grant
    asked = NewRobot(
        name=body.name,
        permissions=asked_permissions(body.permissions),
        description=body.description or "",
        duration_days=body.duration,
        allowed_addresses=body.allowed_addresses,
        disabled=bool(body.disable),
        secret=body.secret or "",
    )
    if body.level == "system":
        issued = await services.robots.create(await gate.system(CreateSystemRobot), asked)
    elif body.level == "project" and [entry.kind for entry in body.permissions] == ["project"]:
        grant = await gate.project(CreateRobot, body.permissions[0].namespace)
        issued = await services.robots.create(grant, asked)
    else:
        raise InvalidInputError((_LEVELS,))
    robot = issued.robot
    shown = RobotCreated(
        robot.id, robot.name, issued.secret, format_time(robot.created_at), shown_expiry(robot)
    )
    return json_reply(shown, 201, (("location", location(_ROBOTS, robot.id)),))


async def read_robot(services: ControlServices, call: Call[Gate, RobotInputs, NoBody]) -> Reply:
    """Show a robot."""
    number, gate = call.inputs.robot_id, call.grant
    grant = await _grant(services, gate, number, ReadSystemRobot, ReadRobot)
    return json_reply(shown_robot(await services.robots.get(grant, number)))


async def update_robot(services: ControlServices, call: Call[Gate, RobotInputs, RobotUpdate]) -> Reply:
    """Change a robot."""
    number, gate, body = call.inputs.robot_id, call.grant, call.body
    grant = await _grant(services, gate, number, UpdateSystemRobot, UpdateRobot)
    changes = RobotChanges(
        permissions=None if body.permissions is None else asked_permissions(body.permissions),
        description=body.description,
        duration_days=body.duration,
        days_from_now=body.expires_in_days,
        allowed_addresses=body.allowed_addresses,
        disabled=body.disable,
    )
    await services.robots.update(grant, number, changes)
    return DONE


async def replace_secret(services: ControlServices, call: Call[Gate, RobotInputs, RobotSec]) -> Reply:
    """Give a robot another secret."""
    number, gate = call.inputs.robot_id, call.grant
    grant = await _grant(services, gate, number, UpdateSystemRobot, UpdateRobot)
    issued = await services.robots.replace_secret(grant, number, call.body.secret or "")
    return json_reply(RobotSec(issued.secret))


async def delete_robot(services: ControlServices, call: Call[Gate, RobotInputs, NoBody]) -> Reply:
    """Remove a robot."""
    number, gate = call.inputs.robot_id, call.grant
    grant = await _grant(services, gate, number, DeleteSystemRobot, DeleteRobot)
    await services.robots.delete(grant, number)
    return DONE


ROBOT_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_ROBOTS,
        operation="api.robot.list",
        operation_id="ListRobot",
        tag="robot",
        summary="The robots of the system, or with `q=Level=project,ProjectID=n` of a project.",
        demand=OneOf((ListSystemRobot, ListRobot)),
        handler=list_robots,
        inputs=RobotListInputs,
        body=NoBody,
        result=list[Robot],
    ),
    Endpoint(
        method="POST",
        path=_ROBOTS,
        operation="api.robot.create",
        operation_id="CreateRobot",
        tag="robot",
        summary="Make a robot; its secret is shown this once.",
        demand=OneOf((CreateSystemRobot, CreateRobot)),
        handler=create_robot,
        inputs=NoInputs,
        body=RobotCreate,
        most_body_bytes=MAX_BODY_BYTES,
        passed_over=PASSED_OVER,
        result=RobotCreated,
        status=201,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        operation="api.robot.read",
        operation_id="GetRobotByID",
        tag="robot",
        summary="A robot.",
        demand=OneOf((ReadSystemRobot, ReadRobot)),
        handler=read_robot,
        inputs=RobotInputs,
        body=NoBody,
        result=Robot,
    ),
    Endpoint(
        method="PUT",
        path=_ONE,
        operation="api.robot.update",
        operation_id="UpdateRobot",
        tag="robot",
        summary="Change a robot; what is left out stays.",
        demand=OneOf((UpdateSystemRobot, UpdateRobot)),
        handler=update_robot,
        inputs=RobotInputs,
        body=RobotUpdate,
        most_body_bytes=MAX_BODY_BYTES,
        passed_over=PASSED_OVER,
    ),
    Endpoint(
        method="PATCH",
        path=_ONE,
        operation="api.robot.replace-secret",
        operation_id="RefreshSec",
        tag="robot",
        summary="Give a robot another secret, which is shown this once.",
        demand=OneOf((UpdateSystemRobot, UpdateRobot)),
        handler=replace_secret,
        inputs=RobotInputs,
        body=RobotSec,
        passed_over=PASSED_OVER,
        result=RobotSec,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        operation="api.robot.delete",
        operation_id="DeleteRobot",
        tag="robot",
        summary="Remove a robot.",
        demand=OneOf((DeleteSystemRobot, DeleteRobot)),
        handler=delete_robot,
        inputs=RobotInputs,
        body=NoBody,
    ),
)
