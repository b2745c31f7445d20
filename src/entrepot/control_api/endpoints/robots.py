"""Robots of projects and of the system, which Harbor's API has under one path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.project_actions import CreateRobot, DeleteRobot, ListRobot, ReadRobot, UpdateRobot
from entrepot.auth.robots.errors import RobotUnknownError
from entrepot.auth.robots.permissions import AskedPermissions
from entrepot.auth.robots.records import NewRobot, RobotChanges
from entrepot.auth.system_actions import (
    CreateSystemRobot,
    DeleteSystemRobot,
    ListSystemRobot,
    ReadSystemRobot,
    UpdateSystemRobot,
)
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OneOf
from entrepot.control_api.errors import InvalidFilterError, InvalidInputError
from entrepot.control_api.filters import Exact, FilterField, Fuzzy, parse_filters
from entrepot.control_api.names import format_time, location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, json_reply, page_reply

if TYPE_CHECKING:
    from entrepot.auth.robots.records import Robot as RobotFacts
    from entrepot.auth.system_actions import SystemAction
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import Gate
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["ROBOT_ENDPOINTS", "Robot"]

_ROBOTS: Final = f"{API_PREFIX}/robots"
_ONE: Final = f"{_ROBOTS}/{{robot_id}}"
_EXACT: Final = frozenset({"exact"})
_FILTERS: Final = {
    "level": FilterField("level", "text", _EXACT),
    "projectid": FilterField("project_id", "number", _EXACT),
    "name": FilterField("name"),
}
_FOR_EVER: Final = -1


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a robot may do."""

    resource: str
    action: str
    effect: str | None = None


class RobotPermission(msgspec.Struct, frozen=True):
    """What a robot may do in one place: `/` is the system, `*` every project."""

    kind: str
    namespace: str
    access: tuple[Access, ...]


class Robot(msgspec.Struct, frozen=True):
    """A robot. `expires_at` is in seconds since 1970, -1 for never.

    Beyond Harbor's fields it tells from which networks it may log in, all when there are none, and when it last did.
    """

    id: int
    name: str
    description: str
    level: str
    duration: int
    editable: bool
    disable: bool
    expires_at: int
    permissions: tuple[RobotPermission, ...]
    creator_type: str
    creator_ref: int
    creation_time: str
    update_time: str
    allowed_addresses: tuple[str, ...]
    last_use_time: str | None


class RobotCreate(msgspec.Struct, frozen=True):
    """A robot to be made. `allowed_addresses` are IP addresses and networks it may log in from; left out, from any."""

    name: str
    permissions: tuple[RobotPermission, ...]
    level: str = "system"
    description: str | None = None
    duration: int | None = None
    disable: bool | None = None
    secret: str | None = None
    allowed_addresses: tuple[str, ...] = ()


class RobotCreated(msgspec.Struct, frozen=True):
    """A new robot with its secret, which is shown this once."""

    id: int
    name: str
    secret: str
    creation_time: str
    expires_at: int


class RobotUpdate(msgspec.Struct, frozen=True):
    """What is to change of a robot; what is left out stays, as name and level do in any case."""

    description: str | None = None
    duration: int | None = None
    disable: bool | None = None
    permissions: tuple[RobotPermission, ...] | None = None
    allowed_addresses: tuple[str, ...] | None = None


class RobotSec(msgspec.Struct, frozen=True):
    """A secret: a chosen one, or empty for a random one."""

    secret: str | None = None


class RobotInputs(msgspec.Struct, frozen=True):
    """Which robot is meant."""

    robot_id: int


class RobotListInputs(PageInputs, frozen=True):
    """Which robots are meant: those of the system, unless `q` says `Level=project,ProjectID=n`."""

    q: str = ""


def _expiry(robot: RobotFacts) -> int:
    return _FOR_EVER if robot.expires_at is None else robot.expires_at // 1000


def _shown(robot: RobotFacts) -> Robot:
    return Robot(
        id=robot.id,
        name=robot.name,
        description=robot.description,
        level="system" if robot.project_id is None else "project",
        duration=robot.duration_days,
        editable=True,
        disable=robot.disabled,
        expires_at=_expiry(robot),
        permissions=tuple(
            RobotPermission(
                entry.kind,
                entry.namespace,
                tuple(Access(*name.split(":", 1)) for name in entry.access),
            )
            for entry in robot.permissions
        ),
        creator_type="local",
        creator_ref=robot.creator_id or 0,
        creation_time=format_time(robot.created_at),
        update_time=format_time(robot.updated_at),
        allowed_addresses=robot.allowed_addresses,
        last_use_time=None if robot.last_used_at is None else format_time(robot.last_used_at),
    )


def _asked(permissions: tuple[RobotPermission, ...]) -> tuple[AskedPermissions, ...]:
    """Return the entries as the service checks them.

    Raises:
        InvalidInputError: an entry denies, which robots' permissions can't.
    """
    if any(access.effect not in (None, "", "allow") for entry in permissions for access in entry.access):
        raise InvalidInputError(("permissions: only the effect allow exists",))
    return tuple(
        AskedPermissions(
            entry.kind, entry.namespace, tuple((access.resource, access.action) for access in entry.access)
        )
        for entry in permissions
    )


async def _home(services: ControlServices, gate: Gate, number: int, action: type[SystemAction]) -> int | None:
    """Return the project that it is of, `None` for the system.

    Raises:
        RobotUnknownError: there is none; who may not know is refused as for any other (S19).
    """
    try:
        return await services.robots.home(number)
    except RobotUnknownError:
        await gate.system(action)
        raise


async def list_robots(services: ControlServices, call: Call[Gate, RobotListInputs, NoBody]) -> Reply:
    """List the robots of the system or of a project.

    Raises:
        InvalidFilterError: the level is unknown, or the project of the level is not named.
    """
    inputs = call.inputs
    exact: dict[str, str | int] = {}
    part = ""
    for term in parse_filters(inputs.q, _FILTERS):
        if isinstance(term.condition, Exact):
            exact[term.field] = term.condition.value
        elif isinstance(term.condition, Fuzzy):
            part = term.condition.text
    level, project = exact.get("level", "system"), exact.get("project_id")
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
        name=str(exact.get("name", "")),
        name_part=part,
    )
    return page_reply([_shown(robot) for robot in page.robots], page.total, inputs, call.head)


async def create_robot(services: ControlServices, call: Call[Gate, NoInputs, RobotCreate]) -> Reply:
    """Make a robot on the system, or in the project that its one entry names.

    Raises:
        InvalidInputError: the level is unknown, or its project is not named once.
    """
    body, gate = call.body, call.grant
    asked = NewRobot(
        name=body.name,
        permissions=_asked(body.permissions),
        description=body.description or "",
        duration_days=body.duration,
        allowed_addresses=body.allowed_addresses,
        disabled=bool(body.disable),
        secret=body.secret or "",
    )
    if body.level == "system":
        issued = await services.robots.create(await gate.system(CreateSystemRobot), asked)
    elif body.level == "project" and len(body.permissions) == 1:
        grant = await gate.project(CreateRobot, body.permissions[0].namespace)
        issued = await services.robots.create(grant, asked)
    else:
        raise InvalidInputError(("level: is system, or project with exactly one entry of permissions",))
    robot = issued.robot
    shown = RobotCreated(robot.id, robot.name, issued.secret, format_time(robot.created_at), _expiry(robot))
    return json_reply(shown, 201, (("location", location(_ROBOTS, robot.id)),))


async def read_robot(services: ControlServices, call: Call[Gate, RobotInputs, NoBody]) -> Reply:
    """Show a robot."""
    number, gate = call.inputs.robot_id, call.grant
    home = await _home(services, gate, number, ReadSystemRobot)
    grant = await (gate.system(ReadSystemRobot) if home is None else gate.project(ReadRobot, home))
    return json_reply(_shown(await services.robots.get(grant, number)))


async def update_robot(services: ControlServices, call: Call[Gate, RobotInputs, RobotUpdate]) -> Reply:
    """Change a robot."""
    number, gate, body = call.inputs.robot_id, call.grant, call.body
    home = await _home(services, gate, number, UpdateSystemRobot)
    grant = await (gate.system(UpdateSystemRobot) if home is None else gate.project(UpdateRobot, home))
    changes = RobotChanges(
        permissions=None if body.permissions is None else _asked(body.permissions),
        description=body.description,
        duration_days=body.duration,
        allowed_addresses=body.allowed_addresses,
        disabled=body.disable,
    )
    await services.robots.update(grant, number, changes)
    return DONE


async def replace_secret(services: ControlServices, call: Call[Gate, RobotInputs, RobotSec]) -> Reply:
    """Give a robot another secret."""
    number, gate = call.inputs.robot_id, call.grant
    home = await _home(services, gate, number, UpdateSystemRobot)
    grant = await (gate.system(UpdateSystemRobot) if home is None else gate.project(UpdateRobot, home))
    issued = await services.robots.replace_secret(grant, number, call.body.secret or "")
    return json_reply(RobotSec(issued.secret))


async def delete_robot(services: ControlServices, call: Call[Gate, RobotInputs, NoBody]) -> Reply:
    """Remove a robot."""
    number, gate = call.inputs.robot_id, call.grant
    home = await _home(services, gate, number, DeleteSystemRobot)
    grant = await (gate.system(DeleteSystemRobot) if home is None else gate.project(DeleteRobot, home))
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
