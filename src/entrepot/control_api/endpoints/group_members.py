"""Who is in a group. Harbor leaves that to directories; ours are filled here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.system_actions import ReadUserGroup, UpdateUserGroup
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import OnSystem
from entrepot.control_api.endpoints.user_groups import GroupInputs
from entrepot.control_api.names import location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, created, page_reply
from entrepot.control_api.request_bodies import MAX_BODY_BYTES

if TYPE_CHECKING:
    from entrepot.auth.grants import SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["GROUP_MEMBER_ENDPOINTS", "UserGroupMember"]

_ALL: Final = f"{API_PREFIX}/usergroups/{{group_id}}/members"
_MOST_AT_ONCE: Final = 10_000


class UserGroupMember(msgspec.Struct, frozen=True):
    """A person in a group."""

    user_id: int
    username: str


class UserGroupMemberReq(msgspec.Struct, frozen=True):
    """Who joins."""

    user_id: int


class UserGroupMembersReq(msgspec.Struct, frozen=True):
    """All who are to be in the group."""

    user_ids: Annotated[tuple[int, ...], msgspec.Meta(max_length=_MOST_AT_ONCE)]


class GroupMemberListInputs(PageInputs, frozen=True):
    """Whose members are meant."""

    group_id: int


class GroupMemberInputs(msgspec.Struct, frozen=True):
    """Who in which group is meant."""

    group_id: int
    user_id: int


async def list_group_members(
    services: ControlServices, call: Call[SystemGrant[ReadUserGroup], GroupMemberListInputs, NoBody]
) -> Reply:
    """List the people in a group."""
    inputs = call.inputs
    page = await services.groups.list_members(call.grant, inputs.group_id, inputs.page_size, inputs.offset)
    shown = [UserGroupMember(member.id, member.name) for member in page.members]
    return page_reply(shown, page.total, inputs, call.head)


async def replace_group_members(
    services: ControlServices, call: Call[SystemGrant[UpdateUserGroup], GroupInputs, UserGroupMembersReq]
) -> Reply:
    """Let exactly the people who are named be in a group."""
    await services.groups.replace_members(call.grant, call.inputs.group_id, call.body.user_ids)
    return DONE


async def add_group_member(
    services: ControlServices, call: Call[SystemGrant[UpdateUserGroup], GroupInputs, UserGroupMemberReq]
) -> Reply:
    """Put a person into a group, who may be in it already."""
    group_id, person_id = call.inputs.group_id, call.body.user_id
    await services.groups.add_member(call.grant, group_id, person_id)
    return created(location(_ALL.replace("{group_id}", str(group_id)), person_id))


async def remove_group_member(
    services: ControlServices, call: Call[SystemGrant[UpdateUserGroup], GroupMemberInputs, NoBody]
) -> Reply:
    """Take a person out of a group."""
    await services.groups.remove_member(call.grant, call.inputs.group_id, call.inputs.user_id)
    return DONE


GROUP_MEMBER_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_ALL,
        operation="api.group-member.list",
        operation_id="listUserGroupMembers",
        tag="usergroup",
        summary="The people in a group.",
        demand=OnSystem(ReadUserGroup),
        handler=list_group_members,
        inputs=GroupMemberListInputs,
        body=NoBody,
        result=list[UserGroupMember],
    ),
    Endpoint(
        method="PUT",
        path=_ALL,
        operation="api.group-member.replace",
        operation_id="replaceUserGroupMembers",
        tag="usergroup",
        summary="Let exactly the people of `user_ids` be in a group; all others leave it.",
        demand=OnSystem(UpdateUserGroup),
        handler=replace_group_members,
        inputs=GroupInputs,
        body=UserGroupMembersReq,
        most_body_bytes=MAX_BODY_BYTES,
    ),
    Endpoint(
        method="POST",
        path=_ALL,
        operation="api.group-member.add",
        operation_id="addUserGroupMember",
        tag="usergroup",
        summary="Put a person into a group.",
        demand=OnSystem(UpdateUserGroup),
        handler=add_group_member,
        inputs=GroupInputs,
        body=UserGroupMemberReq,
        status=201,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_ALL}/{{user_id}}",
        operation="api.group-member.remove",
        operation_id="removeUserGroupMember",
        tag="usergroup",
        summary="Take a person out of a group.",
        demand=OnSystem(UpdateUserGroup),
        handler=remove_group_member,
        inputs=GroupMemberInputs,
        body=NoBody,
    ),
)
