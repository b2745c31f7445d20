"""People, as Harbor's API shows them: who there is, and who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.people.new_people import NewPerson, Profile
from entrepot.auth.system_actions import CreateUser, ListUser
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OnOwnPassword, OnSystem, PersonOr
from entrepot.control_api.filters import FilterField
from entrepot.control_api.names import format_time, location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.plain_filters import MADE, NAME, parse_plain_filters
from entrepot.control_api.reply import created, json_reply, page_reply
from entrepot.control_api.sorting import parse_order
from entrepot.metadata.user_store import PERSON_ORDERS, PersonQuery

if TYPE_CHECKING:
    from entrepot.auth.grants import OwnPasswordGrant, SelfGrant, SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.user_store import PersonRow

__all__ = ["USER_ENDPOINTS", "UserResp", "shown_user"]

_USERS: Final = f"{API_PREFIX}/users"
_FILTERS: Final = {
    "username": FilterField("username", "text", NAME),
    "email": FilterField("email"),
    "creationtime": MADE,
}
_SORTS: Final = {
    "username": "username",
    "userid": "user_id",
    "creationtime": "creation_time",
    "updatetime": "update_time",
}


class UserResp(msgspec.Struct, frozen=True):
    """A person.

    Attributes:
        sysadmin_flag: whether the person was made an operations administrator by name, which is what can be taken back.
        admin_role_in_auth: whether a group of theirs has the role. In Harbor, where groups come from directories, it
            says so of the one who asks only; here it does of everybody.
    """

    user_id: int
    username: str
    email: str
    realname: str
    comment: str
    sysadmin_flag: bool
    admin_role_in_auth: bool
    disabled: bool
    creation_time: str
    update_time: str


class UserSearchRespItem(msgspec.Struct, frozen=True):
    """What everybody may know of a person."""

    user_id: int
    username: str


class UserCreationReq(msgspec.Struct, frozen=True):
    """A person to be made."""

    username: str
    password: str
    email: str | None = None
    realname: str | None = None
    comment: str | None = None


class UserListInputs(PageInputs, frozen=True):
    """Which people are meant."""

    q: str = ""
    sort: str = ""


class UserSearchInputs(PageInputs, frozen=True):
    """Whom somebody looks for."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


def shown_user(person: PersonRow) -> UserResp:
    """Return a person as they are shown."""
    return UserResp(
        user_id=person.id,
        username=person.name,
        email=person.email,
        realname=person.realname,
        comment=person.comment,
        sysadmin_flag=person.is_administrator,
        admin_role_in_auth=person.administers_by_group,
        disabled=person.disabled_at is not None,
        creation_time=format_time(person.created_at),
        update_time=format_time(person.updated_at),
    )


def _query(inputs: UserListInputs) -> PersonQuery:
    filters = parse_plain_filters(inputs.q, _FILTERS)
    return PersonQuery(
        name=filters.text("username"),
        name_part=filters.part("username"),
        email=filters.text("email"),
        email_part=filters.part("email"),
        order=parse_order(inputs.sort, _SORTS, PERSON_ORDERS, "username"),
        skip=inputs.offset,
        limit=inputs.page_size,
        wanted=filters.wanted("username", MADE.name),
    )


async def list_users(
    services: ControlServices, call: Call[SystemGrant[ListUser], UserListInputs, NoBody]
) -> Reply:
    """List people."""
    page = await services.people.list_page(call.grant, _query(call.inputs))
    return page_reply([shown_user(person) for person in page.people], page.total, call.inputs, call.head)


async def create_user(
    services: ControlServices, call: Call[SystemGrant[CreateUser], NoInputs, UserCreationReq]
) -> Reply:
    """Make a person."""
    body = call.body
    profile = Profile(body.email or "", body.realname or "", body.comment or "")
    person = await services.people.create(call.grant, NewPerson(body.username, profile), body.password)
    return created(location(_USERS, person.id))


async def read_current_user(
    services: ControlServices, call: Call[OwnPasswordGrant, NoInputs, NoBody]
) -> Reply:
    """Show the person who asks; also one who must choose a new password, for which their number is needed."""
    return json_reply(shown_user(await services.people.get_self(call.grant)))


async def search_users(
    services: ControlServices, call: Call[SelfGrant | SystemGrant[ListUser], UserSearchInputs, NoBody]
) -> Reply:
    """Find people whose names begin so."""
    inputs = call.inputs
    found = await services.people.search(call.grant, inputs.username, inputs.page_size, inputs.offset)
    shown = [UserSearchRespItem(person.id, person.name) for person in found.people]
    return page_reply(shown, found.total, inputs, call.head)


USER_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_USERS,
        operation="api.user.list",
        operation_id="listUsers",
        tag="user",
        summary="People, by `q` on username and email.",
        demand=OnSystem(ListUser),
        handler=list_users,
        inputs=UserListInputs,
        body=NoBody,
        result=list[UserResp],
    ),
    Endpoint(
        method="POST",
        path=_USERS,
        operation="api.user.create",
        operation_id="createUser",
        tag="user",
        summary="Make a person, who then has no role.",
        demand=OnSystem(CreateUser),
        handler=create_user,
        inputs=NoInputs,
        body=UserCreationReq,
        status=201,
    ),
    Endpoint(
        method="GET",
        path=f"{_USERS}/current",
        operation="api.user.read-current",
        operation_id="getCurrentUserInfo",
        tag="user",
        summary="The person who asks; also one whose password has to be changed first.",
        demand=OnOwnPassword(),
        handler=read_current_user,
        inputs=NoInputs,
        body=NoBody,
        result=UserResp,
    ),
    Endpoint(
        method="GET",
        path=f"{_USERS}/search",
        operation="api.user.search",
        operation_id="searchUsers",
        tag="user",
        summary="People whose names begin so, for whoever wants to make somebody a member.",
        demand=PersonOr(ListUser),
        handler=search_users,
        inputs=UserSearchInputs,
        body=NoBody,
        result=list[UserSearchRespItem],
    ),
)
