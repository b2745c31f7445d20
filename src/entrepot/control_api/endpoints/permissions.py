"""What can be granted to robots: all permissions that there are, on the system and in projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

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
        msgspec.Meta(
            max_length=255, description="For who may create robots of one project only: its name or number."
        ),
    ] = ""


async def get_permissions(_services: ControlServices, call: Call[Gate, PermissionInputs, NoBody]) -> Reply:
    """Answer with what the one who asks could put into a robot of theirs."""
    project = call.inputs.project_name_or_id
    if project:
        await call.grant.project(CreateRobot, call.grant.project_of(project))
        return json_reply(Permissions((), _listed(ROBOT_PROJECT_PERMISSIONS)))
    await call.grant.system(CreateSystemRobot)
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
        summary="Everything that can be granted to a robot, on the system and in projects.",
        demand=OneOf((CreateSystemRobot, CreateRobot)),
        handler=get_permissions,
        inputs=PermissionInputs,
        body=NoBody,
        result=Permissions,
    ),
)
