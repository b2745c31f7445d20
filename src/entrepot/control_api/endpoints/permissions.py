"""What can be granted to robots: all permissions that there are, on the system and in projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.project_actions import CreateRobot
from entrepot.auth.robots.permissions import ROBOT_PROJECT_PERMISSIONS, ROBOT_SYSTEM_PERMISSIONS
from entrepot.auth.system_actions import CreateSystemRobot
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import Gate, OneOf
from entrepot.control_api.reply import json_reply

if TYPE_CHECKING:
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["PERMISSION_ENDPOINTS", "Permission", "PermissionInputs", "Permissions"]


class Permission(msgspec.Struct, frozen=True):
    """One thing that one may be allowed to do."""

    resource: str
    action: str


class Permissions(msgspec.Struct, frozen=True):
    """What can be granted on each level."""

    system: tuple[Permission, ...]
    project: tuple[Permission, ...]


class PermissionInputs(msgspec.Struct, frozen=True):
    """Whose robots are meant."""

    project_name_or_id: Annotated[
        str,
        msgspec.Meta(max_length=255, description="Of robots of one project only: its name or number."),
    ] = ""


_NOWHERE: Final = (
    "this takes robot:create on the system or in some project: ask who administers a project for a role that permits "
    "it, or an operations administrator"
)


async def get_permissions(services: ControlServices, call: Call[Gate, PermissionInputs, NoBody]) -> Reply:
    """Answer with what the one who asks could put into a robot of theirs.

    As in Harbor, whoever may create robots in any project need not say in which: what they can be given is the same.
    """
    gate, named = call.grant, call.inputs.project_name_or_id
    if named:
        await gate.project(CreateRobot, gate.project_of(named))
        return json_reply(Permissions((), _listed(ROBOT_PROJECT_PERMISSIONS)))
    try:
        await gate.system(CreateSystemRobot)
    except AccessDeniedError as error:
        project = await services.visibility.any_project(gate.principal, CreateRobot)
        if project is None:
            # Of a credential with limits, they may be why, which it says.
            raise (error if gate.principal.is_limited else AccessDeniedError(_NOWHERE)) from None
        await gate.project(CreateRobot, project)
        return json_reply(Permissions((), _listed(ROBOT_PROJECT_PERMISSIONS)))
    return json_reply(Permissions(_listed(ROBOT_SYSTEM_PERMISSIONS), _listed(ROBOT_PROJECT_PERMISSIONS)))


def _listed(names: frozenset[str]) -> tuple[Permission, ...]:
    return tuple(Permission(*name.split(":", 1)) for name in sorted(names))


PERMISSION_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/permissions",
        operation="api.permission.list",
        operation_id="getPermissions",
        tag="permissions",
        summary="What can be granted to a robot, on the system and in projects: all, or the part of projects to who "
        "may create robots in some project only.",
        demand=OneOf((CreateSystemRobot, CreateRobot)),
        handler=get_permissions,
        inputs=PermissionInputs,
        body=NoBody,
        result=Permissions,
    ),
)
