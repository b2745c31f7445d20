"""Roles: those built in, and those that a registry adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from entrepot.auth.project_actions import ListMember
from entrepot.auth.roles import FIRST_CUSTOM_ROLE_ID
from entrepot.auth.system_actions import CreateRole, DeleteRole, ListRole, ReadRole, UpdateRole
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import Gate, OneOf, OnSystem
from entrepot.control_api.names import location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, created, json_reply, page_reply

if TYPE_CHECKING:
    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.roles import Role as RoleFacts
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["ROLE_ENDPOINTS", "Role"]

_ROLES: Final = f"{API_PREFIX}/roles"
_ONE: Final = f"{_ROLES}/{{role_id}}"


class RolePermissions(msgspec.Struct, frozen=True):
    """What a role permits: in projects (in every one, where it is given on the system), and on the system."""

    project: tuple[str, ...]
    system: tuple[str, ...]


class Role(msgspec.Struct, frozen=True):
    """A role. `role_name` is what Harbor's API calls it, `builtin` are those that can't be changed."""

    id: int
    name: str
    role_name: str
    description: str
    builtin: bool
    assignable_in_project: bool
    assignable_on_system: bool
    permissions: RolePermissions


class RoleReq(msgspec.Struct, frozen=True):
    """A role to be made, of permissions like `repository:pull`; those of one level only."""

    name: str
    permissions: tuple[str, ...]
    level: Literal["project", "system"] = "project"
    description: str = ""


class RoleUpdate(msgspec.Struct, frozen=True):
    """What a role is to permit and to say from now on; its name and level stay."""

    permissions: tuple[str, ...]
    description: str = ""


class RoleListInputs(PageInputs, frozen=True):
    """For whom roles are listed."""

    project_name_or_id: Annotated[
        str,
        msgspec.Meta(
            max_length=255,
            description="Name or number of a project: the roles that its members can have, for who sees them.",
        ),
    ] = ""


class RoleInputs(msgspec.Struct, frozen=True):
    """Which role is meant."""

    role_id: int


def _shown(role: RoleFacts) -> Role:
    return Role(
        id=role.role_id,
        name=role.name,
        role_name=role.harbor_name,
        description=role.summary,
        builtin=role.role_id < FIRST_CUSTOM_ROLE_ID,
        assignable_in_project=role.assignable_in_project,
        assignable_on_system=role.assignable_on_system,
        permissions=RolePermissions(tuple(sorted(role.project)), tuple(sorted(role.system))),
    )


async def list_roles(services: ControlServices, call: Call[Gate, RoleListInputs, NoBody]) -> Reply:
    """List all roles, or those that members of a project can have; built-in ones first."""
    page, gate = call.inputs, call.grant
    if project := page.project_name_or_id:
        in_project = await gate.project(ListMember, gate.project_of(project))
        roles = await services.roles.list_for_members(in_project)
    else:
        roles = await services.roles.list_all(await gate.system(ListRole))
    shown = [_shown(role) for role in roles[page.offset : page.offset + page.page_size]]
    return page_reply(shown, len(roles), page, call.head)


async def create_role(
    services: ControlServices, call: Call[SystemGrant[CreateRole], NoInputs, RoleReq]
) -> Reply:
    """Make a role."""
    body = call.body
    role = await services.roles.create(call.grant, body.name, body.level, body.permissions, body.description)
    return created(location(_ROLES, role.role_id))


async def read_role(
    services: ControlServices, call: Call[SystemGrant[ReadRole], RoleInputs, NoBody]
) -> Reply:
    """Show a role."""
    return json_reply(_shown(await services.roles.find(call.grant, call.inputs.role_id)))


async def update_role(
    services: ControlServices, call: Call[SystemGrant[UpdateRole], RoleInputs, RoleUpdate]
) -> Reply:
    """Replace what a role permits and says."""
    body = call.body
    await services.roles.update(call.grant, call.inputs.role_id, body.permissions, body.description)
    return DONE


async def delete_role(
    services: ControlServices, call: Call[SystemGrant[DeleteRole], RoleInputs, NoBody]
) -> Reply:
    """Delete a role that nobody has."""
    await services.roles.delete(call.grant, call.inputs.role_id)
    return DONE


ROLE_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_ROLES,
        operation="api.role.list",
        operation_id="listRoles",
        tag="role",
        summary="All roles with what they permit, the built-in ones first; or those that a project's members can have.",
        demand=OneOf((ListRole, ListMember)),
        handler=list_roles,
        inputs=RoleListInputs,
        body=NoBody,
        result=list[Role],
    ),
    Endpoint(
        method="POST",
        path=_ROLES,
        operation="api.role.create",
        operation_id="createRole",
        tag="role",
        summary="Make a role of permissions that one holds oneself.",
        demand=OnSystem(CreateRole),
        handler=create_role,
        inputs=NoInputs,
        body=RoleReq,
        status=201,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        operation="api.role.read",
        operation_id="getRole",
        tag="role",
        summary="A role.",
        demand=OnSystem(ReadRole),
        handler=read_role,
        inputs=RoleInputs,
        body=NoBody,
        result=Role,
    ),
    Endpoint(
        method="PUT",
        path=_ONE,
        operation="api.role.update",
        operation_id="updateRole",
        tag="role",
        summary="Replace what a role permits and says; its name and level stay, and built-in ones can't be changed.",
        demand=OnSystem(UpdateRole),
        handler=update_role,
        inputs=RoleInputs,
        body=RoleUpdate,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        operation="api.role.delete",
        operation_id="deleteRole",
        tag="role",
        summary="Delete a role that nobody has.",
        demand=OnSystem(DeleteRole),
        handler=delete_role,
        inputs=RoleInputs,
        body=NoBody,
    ),
)
