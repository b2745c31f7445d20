"""Roles that people and groups have on the system; those in a project are its members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.system_actions import (
    CreateRoleAssignment,
    DeleteRoleAssignment,
    ListRoleAssignment,
    ReadRole,
)
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OneOf, OnSystem
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.names import format_time, location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, created, page_reply

if TYPE_CHECKING:
    from entrepot.auth.grants import SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import Gate
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.assignment_store import SystemAssignment

__all__ = ["ROLE_ASSIGNMENT_ENDPOINTS", "RoleAssignment"]

_ASSIGNMENTS: Final = f"{API_PREFIX}/role-assignments"


class RoleAssignment(msgspec.Struct, frozen=True):
    """A role of a person (`user`) or a group (`group`) on the system."""

    id: int
    role: str
    subject_id: int
    subject_kind: str
    subject_name: str
    creation_time: str


class RoleAssignmentReq(msgspec.Struct, frozen=True):
    """Who is to have which role, by name or by number."""

    subject_id: int
    role: str = ""
    role_id: int = 0


class RoleAssignmentInputs(msgspec.Struct, frozen=True):
    """Which assignment is meant."""

    assignment_id: int


def _shown(assignment: SystemAssignment) -> RoleAssignment:
    assignee = assignment.assignee
    return RoleAssignment(
        id=assignment.id,
        role=assignment.role,
        subject_id=assignee.subject_id,
        subject_kind=assignee.kind,
        subject_name=assignee.name,
        creation_time=format_time(assignment.created_at),
    )


async def list_assignments(
    services: ControlServices, call: Call[SystemGrant[ListRoleAssignment], PageInputs, NoBody]
) -> Reply:
    """List who has which role on the system."""
    page = call.inputs
    found = await services.role_assignments.list_page(call.grant, page.page_size, page.offset)
    total = await services.role_assignments.count(call.grant)
    return page_reply([_shown(assignment) for assignment in found], total, page, call.head)


async def create_assignment(
    services: ControlServices, call: Call[Gate, NoInputs, RoleAssignmentReq]
) -> Reply:
    """Give a role on the system.

    Raises:
        InvalidInputError: the role is named neither by name nor by number, or by both.
    """
    body = call.body
    grant = await call.grant.system(CreateRoleAssignment)
    if bool(body.role) == bool(body.role_id):
        raise InvalidInputError(("either role or role_id has to name the role",))
    role = body.role or (await services.roles.find(await call.grant.system(ReadRole), body.role_id)).name
    return created(location(_ASSIGNMENTS, await services.role_assignments.give(grant, body.subject_id, role)))


async def delete_assignment(
    services: ControlServices, call: Call[SystemGrant[DeleteRoleAssignment], RoleAssignmentInputs, NoBody]
) -> Reply:
    """Take a role on the system."""
    await services.role_assignments.take(call.grant, call.inputs.assignment_id)
    return DONE


ROLE_ASSIGNMENT_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_ASSIGNMENTS,
        operation="api.role-assignment.list",
        operation_id="listRoleAssignments",
        tag="role",
        summary="Who has which role on the system.",
        demand=OnSystem(ListRoleAssignment),
        handler=list_assignments,
        inputs=PageInputs,
        body=NoBody,
        result=list[RoleAssignment],
    ),
    Endpoint(
        method="POST",
        path=_ASSIGNMENTS,
        operation="api.role-assignment.create",
        operation_id="createRoleAssignment",
        tag="role",
        summary="Give a person or a group a role on the system, of which one holds everything oneself.",
        demand=OneOf((CreateRoleAssignment, ReadRole)),
        handler=create_assignment,
        inputs=NoInputs,
        body=RoleAssignmentReq,
        status=201,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_ASSIGNMENTS}/{{assignment_id}}",
        operation="api.role-assignment.delete",
        operation_id="deleteRoleAssignment",
        tag="role",
        summary="Take a role on the system; the last administrator keeps theirs.",
        demand=OnSystem(DeleteRoleAssignment),
        handler=delete_assignment,
        inputs=RoleAssignmentInputs,
        body=NoBody,
    ),
)
