"""Members of projects, as Harbor's API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.project_actions import CreateMember, DeleteMember, ListMember, ReadMember, UpdateMember
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import InProject
from entrepot.control_api.endpoints.projects import ProjectInputs
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.names import location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, created, json_reply, page_reply

if TYPE_CHECKING:
    from entrepot.auth.grants import ProjectGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.member_store import MemberKind
    from entrepot.projects.members import Member

__all__ = ["MEMBER_ENDPOINTS", "ProjectMemberEntity"]

_ALL: Final = f"{API_PREFIX}/projects/{{project_name_or_id}}/members"
_ONE: Final = f"{_ALL}/{{mid}}"


class ProjectMemberEntity(msgspec.Struct, frozen=True):
    """A person (`u`) or group (`g`) with a role in a project."""

    id: int
    project_id: int
    entity_name: str
    role_name: str
    role_id: int
    entity_id: int
    entity_type: str


class UserEntity(msgspec.Struct, frozen=True):
    """A person, by name or by number."""

    user_id: int = 0
    username: str = ""


class MemberGroup(msgspec.Struct, frozen=True):
    """A group, by name or by number."""

    id: int = 0
    group_name: str = ""


class ProjectMember(msgspec.Struct, frozen=True):
    """A member to be added."""

    role_id: int
    member_user: UserEntity | None = None
    member_group: MemberGroup | None = None


class RoleRequest(msgspec.Struct, frozen=True):
    """Another role."""

    role_id: int


class MemberListInputs(PageInputs, frozen=True):
    """Which members are meant."""

    project_name_or_id: str
    entityname: Annotated[str, msgspec.Meta(max_length=255, description="What the name contains.")] = ""


class MemberInputs(msgspec.Struct, frozen=True):
    """Which member is meant."""

    project_name_or_id: str
    mid: int


def _shown(member: Member) -> ProjectMemberEntity:
    return ProjectMemberEntity(
        id=member.member_id,
        project_id=member.project_id,
        entity_name=member.name,
        role_name=member.role.label,
        role_id=member.role.role_id,
        entity_id=member.subject_id,
        entity_type="u" if member.kind == "user" else "g",
    )


def _subject(body: ProjectMember) -> tuple[MemberKind, str | int]:
    """Return who is meant.

    Raises:
        InvalidInputError: nobody, or both a person and a group.
    """
    person, group = body.member_user, body.member_group
    if person is not None and group is None and (person.user_id or person.username):
        return "user", person.user_id or person.username
    if group is not None and person is None and (group.id or group.group_name):
        return "group", group.id or group.group_name
    raise InvalidInputError(("either member_user or member_group has to name somebody",))


async def list_members(
    services: ControlServices, call: Call[ProjectGrant[ListMember], MemberListInputs, NoBody]
) -> Reply:
    """List the members of a project."""
    inputs = call.inputs
    page = await services.members.list_page(call.grant, inputs.entityname, inputs.page_size, inputs.offset)
    return page_reply([_shown(member) for member in page.members], page.total, inputs, call.head)


async def add_member(
    services: ControlServices, call: Call[ProjectGrant[CreateMember], ProjectInputs, ProjectMember]
) -> Reply:
    """Add a person or a group."""
    kind, subject = _subject(call.body)
    number = await services.members.add(call.grant, kind, subject, call.body.role_id)
    return created(location(f"{API_PREFIX}/projects/{call.grant.project_id}/members", number))


async def read_member(
    services: ControlServices, call: Call[ProjectGrant[ReadMember], MemberInputs, NoBody]
) -> Reply:
    """Show a member."""
    return json_reply(_shown(await services.members.get(call.grant, call.inputs.mid)))


async def update_member(
    services: ControlServices, call: Call[ProjectGrant[UpdateMember], MemberInputs, RoleRequest]
) -> Reply:
    """Give a member another role."""
    await services.members.change_role(call.grant, call.inputs.mid, call.body.role_id)
    return DONE


async def delete_member(
    services: ControlServices, call: Call[ProjectGrant[DeleteMember], MemberInputs, NoBody]
) -> Reply:
    """Remove a member."""
    await services.members.remove(call.grant, call.inputs.mid)
    return DONE


MEMBER_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_ALL,
        operation="api.member.list",
        operation_id="listProjectMembers",
        tag="member",
        summary="The members of a project.",
        demand=InProject(ListMember),
        handler=list_members,
        inputs=MemberListInputs,
        body=NoBody,
        result=list[ProjectMemberEntity],
    ),
    Endpoint(
        method="POST",
        path=_ALL,
        operation="api.member.create",
        operation_id="createProjectMember",
        tag="member",
        summary="Make a person or a group a member.",
        demand=InProject(CreateMember),
        handler=add_member,
        inputs=ProjectInputs,
        body=ProjectMember,
        status=201,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        operation="api.member.read",
        operation_id="getProjectMember",
        tag="member",
        summary="A member.",
        demand=InProject(ReadMember),
        handler=read_member,
        inputs=MemberInputs,
        body=NoBody,
        result=ProjectMemberEntity,
    ),
    Endpoint(
        method="PUT",
        path=_ONE,
        operation="api.member.update",
        operation_id="updateProjectMember",
        tag="member",
        summary="Give a member another role.",
        demand=InProject(UpdateMember),
        handler=update_member,
        inputs=MemberInputs,
        body=RoleRequest,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        operation="api.member.delete",
        operation_id="deleteProjectMember",
        tag="member",
        summary="Remove a member.",
        demand=InProject(DeleteMember),
        handler=delete_member,
        inputs=MemberInputs,
        body=NoBody,
    ),
)
