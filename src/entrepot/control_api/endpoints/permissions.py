"""What can be granted to robots: all permissions that there are, on the system and in projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.limited_credentials import limits_in_the_way, owner_of
from entrepot.auth.project_actions import CreateRobot
from entrepot.auth.robots.permissions import ROBOT_PROJECT_PERMISSIONS, ROBOT_SYSTEM_PERMISSIONS
from entrepot.auth.system_actions import CreateSystemRobot
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import Gate, OneOf
from entrepot.control_api.reply import json_reply

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
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
            raise await _refusal(services, gate.principal, error) from None
        await gate.project(CreateRobot, project)
        return json_reply(Permissions((), _listed(ROBOT_PROJECT_PERMISSIONS)))
    return json_reply(Permissions(_listed(ROBOT_SYSTEM_PERMISSIONS), _listed(ROBOT_PROJECT_PERMISSIONS)))


async def _refusal(
    services: ControlServices, principal: Principal, on_system: AccessDeniedError
) -> AccessDeniedError:
    """Return why somebody can give nothing anywhere: of one with limits, whether these are all that is in the way.

    Args:
        on_system: the refusal on the system, which says so where the owner of the credential holds the right there.
    """
    owner = owner_of(principal)
    if owner is None:
        return AccessDeniedError(_NOWHERE)
    permission = CreateSystemRobot.permission.name
    if permission in await services.decisions.on_registry(owner):
        return on_system
    # Some project, which is not named: the limits may leave out that one altogether (S19).
    if await services.visibility.any_project(owner, CreateRobot) is not None:
        return limits_in_the_way(CreateRobot.permission.name, "in any project")
    return AccessDeniedError(_NOWHERE)


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
