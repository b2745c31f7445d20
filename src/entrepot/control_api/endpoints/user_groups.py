"""Groups of people, as Harbor's API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.people.groups import LOCAL_GROUP
from entrepot.auth.system_actions import (
    CreateUserGroup,
    DeleteUserGroup,
    ListUserGroup,
    ReadUserGroup,
    UpdateUserGroup,
)
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OnSystem, PersonOr
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.filters import FilterField
from entrepot.control_api.names import location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.plain_filters import parse_plain_filters
from entrepot.control_api.reply import DONE, created, json_reply, page_reply
from entrepot.control_api.sorting import parse_order
from entrepot.metadata.group_store import GROUP_ORDERS, GroupQuery

if TYPE_CHECKING:
    from entrepot.auth.grants import SelfGrant, SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.group_store import GroupRow

__all__ = ["USER_GROUP_ENDPOINTS", "UserGroup"]

_GROUPS: Final = f"{API_PREFIX}/usergroups"
_FILTERS: Final = {"groupname": FilterField("group_name")}
_SORTS: Final = {"groupname": "group_name"}
_LOCAL_ONLY: Final = (
    "group_type: can only be 2, since there is no LDAP (1) and no OIDC (3) that groups could come from"
)


class UserGroup(msgspec.Struct, frozen=True):
    """A group."""

    id: int
    group_name: str
    group_type: int
    ldap_group_dn: str


class UserGroupSearchItem(msgspec.Struct, frozen=True):
    """What everybody may know of a group."""

    id: int
    group_name: str
    group_type: int


class UserGroupReq(msgspec.Struct, frozen=True):
    """A group to be made, or its new name."""

    group_name: str
    group_type: int | None = None
    ldap_group_dn: str | None = None


class GroupInputs(msgspec.Struct, frozen=True):
    """Which group is meant."""

    group_id: int


class GroupListInputs(PageInputs, frozen=True):
    """Which groups are meant."""

    q: str = ""
    sort: str = ""
    group_name: Annotated[str, msgspec.Meta(max_length=255, description="What the name contains.")] = ""


class GroupSearchInputs(PageInputs, frozen=True):
    """Which group somebody looks for."""

    groupname: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


def _shown(group: GroupRow) -> UserGroup:
    return UserGroup(group.id, group.name, group.group_type, group.ldap_group_dn)


async def list_groups(
    services: ControlServices, call: Call[SystemGrant[ListUserGroup], GroupListInputs, NoBody]
) -> Reply:
    """List groups."""
    inputs = call.inputs
    filters = parse_plain_filters(inputs.q, _FILTERS)
    query = GroupQuery(
        name=filters.text("group_name"),
        name_part=filters.part_beside("group_name", inputs.group_name),
        order=parse_order(inputs.sort, _SORTS, GROUP_ORDERS, "group_name"),
        skip=inputs.offset,
        limit=inputs.page_size,
    )
    page = await services.groups.list_page(call.grant, query)
    return page_reply([_shown(group) for group in page.groups], page.total, inputs, call.head)


async def search_groups(
    services: ControlServices, call: Call[SelfGrant | SystemGrant[ListUserGroup], GroupSearchInputs, NoBody]
) -> Reply:
    """Find groups whose names begin so."""
    inputs = call.inputs
    found = await services.groups.search(call.grant, inputs.groupname, inputs.page_size, inputs.offset)
    shown = [UserGroupSearchItem(group.id, group.name, group.group_type) for group in found.groups]
    return page_reply(shown, found.total, inputs, call.head)


async def create_group(
    services: ControlServices, call: Call[SystemGrant[CreateUserGroup], NoInputs, UserGroupReq]
) -> Reply:
    """Make a group.

    Raises:
        InvalidInputError: it is to come from a directory or an identity provider.
    """
    body = call.body
    if body.group_type not in {None, LOCAL_GROUP} or body.ldap_group_dn:
        raise InvalidInputError((_LOCAL_ONLY,))
    group = await services.groups.create(call.grant, body.group_name)
    return created(location(_GROUPS, group.id))


async def read_group(
    services: ControlServices, call: Call[SystemGrant[ReadUserGroup], GroupInputs, NoBody]
) -> Reply:
    """Show a group."""
    return json_reply(_shown(await services.groups.get(call.grant, call.inputs.group_id)))


async def rename_group(
    services: ControlServices, call: Call[SystemGrant[UpdateUserGroup], GroupInputs, UserGroupReq]
) -> Reply:
    """Give a group another name."""
    await services.groups.rename(call.grant, call.inputs.group_id, call.body.group_name)
    return DONE


async def delete_group(
    services: ControlServices, call: Call[SystemGrant[DeleteUserGroup], GroupInputs, NoBody]
) -> Reply:
    """Delete a group."""
    await services.groups.delete(call.grant, call.inputs.group_id)
    return DONE


USER_GROUP_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_GROUPS,
        operation="api.group.list",
        operation_id="listUserGroups",
        tag="usergroup",
        summary="Groups.",
        demand=OnSystem(ListUserGroup),
        handler=list_groups,
        inputs=GroupListInputs,
        body=NoBody,
        result=list[UserGroup],
    ),
    Endpoint(
        method="POST",
        path=_GROUPS,
        operation="api.group.create",
        operation_id="createUserGroup",
        tag="usergroup",
        summary="Make a group without members.",
        demand=OnSystem(CreateUserGroup),
        handler=create_group,
        inputs=NoInputs,
        body=UserGroupReq,
        status=201,
    ),
    Endpoint(
        method="GET",
        path=f"{_GROUPS}/search",
        operation="api.group.search",
        operation_id="searchUserGroups",
        tag="usergroup",
        summary="Groups whose names begin so, for whoever wants to make one a member.",
        demand=PersonOr(ListUserGroup),
        handler=search_groups,
        inputs=GroupSearchInputs,
        body=NoBody,
        result=list[UserGroupSearchItem],
    ),
    Endpoint(
        method="GET",
        path=f"{_GROUPS}/{{group_id}}",
        operation="api.group.read",
        operation_id="getUserGroup",
        tag="usergroup",
        summary="A group.",
        demand=OnSystem(ReadUserGroup),
        handler=read_group,
        inputs=GroupInputs,
        body=NoBody,
        result=UserGroup,
    ),
    Endpoint(
        method="PUT",
        path=f"{_GROUPS}/{{group_id}}",
        operation="api.group.update",
        operation_id="updateUserGroup",
        tag="usergroup",
        summary="Give a group another name.",
        demand=OnSystem(UpdateUserGroup),
        handler=rename_group,
        inputs=GroupInputs,
        body=UserGroupReq,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_GROUPS}/{{group_id}}",
        operation="api.group.delete",
        operation_id="deleteUserGroup",
        tag="usergroup",
        summary="Delete a group.",
        demand=OnSystem(DeleteUserGroup),
        handler=delete_group,
        inputs=GroupInputs,
        body=NoBody,
    ),
)
