"""What the one who asks may do, on the system or in a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import OnSelf
from entrepot.control_api.endpoints.permissions import Permission
from entrepot.control_api.names import project_reference
from entrepot.control_api.reply import json_reply

if TYPE_CHECKING:
    from entrepot.auth.grants import SelfGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["OWN_PERMISSION_ENDPOINTS"]

_PROJECT_SCOPE: Final = "/project/"


class OwnPermissionInputs(msgspec.Struct, frozen=True):
    """Where: `/project/7`, or nothing for the system."""

    scope: Annotated[str, msgspec.Meta(max_length=300)] = ""
    relative: bool = False


async def list_own_permissions(
    services: ControlServices, call: Call[SelfGrant, OwnPermissionInputs, NoBody]
) -> Reply:
    """List what the one who asks may do; nothing in a project that is not there or not theirs to know (S19)."""
    inputs, principal = call.inputs, call.grant.principal
    if inputs.scope.startswith(_PROJECT_SCOPE):
        project = project_reference(inputs.scope.removeprefix(_PROJECT_SCOPE), "")
        standing = await services.decisions.on_project(principal, project)
        names = frozenset[str]() if standing is None else standing.permissions
    else:
        names = await services.decisions.on_registry(principal)
    prefix = f"{inputs.scope}/" if inputs.scope and not inputs.relative else ""
    pairs = (name.split(":", 1) for name in sorted(names))
    return json_reply([Permission(f"{prefix}{resource}", action) for resource, action in pairs])


OWN_PERMISSION_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/users/current/permissions",
        operation="api.own-permission.list",
        operation_id="getCurrentUserPermissions",
        tag="user",
        summary="What the one who asks may do, on the system or in `scope=/project/<number>`.",
        demand=OnSelf(),
        handler=list_own_permissions,
        inputs=OwnPermissionInputs,
        body=NoBody,
        result=list[Permission],
    ),
)
