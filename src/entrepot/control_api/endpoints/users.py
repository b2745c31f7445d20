"""People, as Harbor's API shows them: administrators manage everybody, and everybody their own account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.people.new_people import NewPerson, Profile
from entrepot.auth.system_actions import CreateUser, DeleteUser, ListUser, ReadUser, UpdateUser
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OnOwnPassword, OnSelf, OnSystem, OwnOr
from entrepot.control_api.filters import Exact, FilterField, Fuzzy, parse_filters
from entrepot.control_api.names import format_time, location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, created, json_reply, page_reply
from entrepot.control_api.sorting import parse_sort
from entrepot.metadata.user_store import PERSON_ORDERS, PersonQuery

if TYPE_CHECKING:
    from entrepot.auth.grants import OwnPasswordGrant, SelfGrant, SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import OwnGate
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.user_store import PersonOrder, PersonRow

__all__ = ["USER_ENDPOINTS", "UserResp"]

_USERS: Final = f"{API_PREFIX}/users"
_FILTERS: Final = {"username": FilterField("username"), "email": FilterField("email")}
_SORTS: Final = {
    "username": "username",
    "userid": "user_id",
    "creationtime": "creation_time",
    "updatetime": "update_time",
}


class UserResp(msgspec.Struct, frozen=True):
    """A person."""

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


class UserProfile(msgspec.Struct, frozen=True):
    """What can be changed of a person; what is left out stays."""

    email: str | None = None
    realname: str | None = None
    comment: str | None = None


class UserSysAdminFlag(msgspec.Struct, frozen=True):
    """Whether a person administers the registry."""

    sysadmin_flag: bool


class PasswordReq(msgspec.Struct, frozen=True):
    """A new password; for one's own, with the old one."""

    new_password: str
    old_password: str = ""


class UserInputs(msgspec.Struct, frozen=True):
    """Which person is meant."""

    user_id: int


class UserListInputs(PageInputs, frozen=True):
    """Which people are meant."""

    q: str = ""
    sort: str = ""


class UserSearchInputs(PageInputs, frozen=True):
    """Whom somebody looks for."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


def _shown(person: PersonRow) -> UserResp:
    return UserResp(
        user_id=person.id,
        username=person.name,
        email=person.email,
        realname=person.realname,
        comment=person.comment,
        sysadmin_flag=person.is_administrator,
        admin_role_in_auth=False,
        disabled=person.disabled_at is not None,
        creation_time=format_time(person.created_at),
        update_time=format_time(person.updated_at),
    )


def _query(inputs: UserListInputs) -> PersonQuery:
    exact: dict[str, str] = {}
    parts: dict[str, str] = {}
    for term in parse_filters(inputs.q, _FILTERS):
        if isinstance(term.condition, Exact):
            exact[term.field] = str(term.condition.value)
        elif isinstance(term.condition, Fuzzy):
            parts[term.field] = term.condition.text
    return PersonQuery(
        name=exact.get("username", ""),
        name_part=parts.get("username", ""),
        email=exact.get("email", ""),
        email_part=parts.get("email", ""),
        order=_order(inputs.sort),
        skip=inputs.offset,
        limit=inputs.page_size,
    )


def _order(text: str) -> PersonOrder:
    """Return the order by the first key; names decide among equals."""
    keys = parse_sort(text, _SORTS)
    wanted = f"{'-' if keys[0].descending else ''}{keys[0].field}" if keys else "username"
    return next(order for order in PERSON_ORDERS if order == wanted)


async def list_users(
    services: ControlServices, call: Call[SystemGrant[ListUser], UserListInputs, NoBody]
) -> Reply:
    """List people."""
    page = await services.people.list_page(call.grant, _query(call.inputs))
    return page_reply([_shown(person) for person in page.people], page.total, call.inputs, call.head)


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
    return json_reply(_shown(await services.people.get_self(call.grant)))


async def search_users(services: ControlServices, call: Call[SelfGrant, UserSearchInputs, NoBody]) -> Reply:
    """Find people whose names begin so."""
    inputs = call.inputs
    found = await services.people.search(call.grant, inputs.username, inputs.offset + inputs.page_size)
    shown = [UserSearchRespItem(person.id, person.name) for person in found[inputs.offset :]]
    return page_reply(shown, len(found), inputs, call.head)


async def read_user(services: ControlServices, call: Call[OwnGate, UserInputs, NoBody]) -> Reply:
    """Show a person."""
    if await _is_own(services, call.grant, call.inputs.user_id):
        return json_reply(_shown(await services.people.get_self(await call.grant.own())))
    grant = await call.grant.system(ReadUser)
    return json_reply(_shown(await services.people.get(grant, call.inputs.user_id)))


async def update_user(services: ControlServices, call: Call[OwnGate, UserInputs, UserProfile]) -> Reply:
    """Change what is known of a person."""
    person_id, people = call.inputs.user_id, services.people
    if await _is_own(services, call.grant, person_id):
        own = await call.grant.own()
        await people.update_self(own, _merged(await people.get_self(own), call.body))
        return DONE
    grant = await call.grant.system(UpdateUser)
    seen = await people.get(await call.grant.system(ReadUser), person_id)
    await people.update(grant, person_id, _merged(seen, call.body))
    return DONE


async def delete_user(
    services: ControlServices, call: Call[SystemGrant[DeleteUser], UserInputs, NoBody]
) -> Reply:
    """Delete a person."""
    services.memory.forget(await services.people.delete(call.grant, call.inputs.user_id))
    return DONE


async def set_administrator(
    services: ControlServices, call: Call[SystemGrant[UpdateUser], UserInputs, UserSysAdminFlag]
) -> Reply:
    """Make a person an administrator, or no longer one."""
    if call.body.sysadmin_flag:
        await services.administrators.make(call.grant, call.inputs.user_id)
    else:
        await services.administrators.unmake(call.grant, call.inputs.user_id)
    return DONE


async def set_password(services: ControlServices, call: Call[OwnGate, UserInputs, PasswordReq]) -> Reply:
    """Change one's own password, or give somebody one that they have to change."""
    if await _is_own(services, call.grant, call.inputs.user_id):
        own = await call.grant.own_password()
        await services.password_changes.change_own(own, call.body.old_password, call.body.new_password)
        services.memory.forget(own.principal.subject)
        return DONE
    grant = await call.grant.system(UpdateUser)
    changed = await services.password_changes.reset(grant, call.inputs.user_id, call.body.new_password)
    services.memory.forget(changed)
    return DONE


async def _is_own(services: ControlServices, gate: OwnGate, person_id: int) -> bool:
    """Whether a number is that of the person who asks; robots and limited tokens have no account of their own."""
    if gate.principal.kind != "user":
        return False
    try:
        own = await gate.own_password()
    except AccessDeniedError:
        return False
    return (await services.people.get_self(own)).id == person_id


def _merged(person: PersonRow, body: UserProfile) -> Profile:
    return Profile(
        person.email if body.email is None else body.email,
        person.realname if body.realname is None else body.realname,
        person.comment if body.comment is None else body.comment,
    )


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
        demand=OnSelf(),
        handler=search_users,
        inputs=UserSearchInputs,
        body=NoBody,
        result=list[UserSearchRespItem],
    ),
    Endpoint(
        method="GET",
        path=f"{_USERS}/{{user_id}}",
        operation="api.user.read",
        operation_id="getUser",
        tag="user",
        summary="A person.",
        demand=OwnOr((ReadUser,)),
        handler=read_user,
        inputs=UserInputs,
        body=NoBody,
        result=UserResp,
    ),
    Endpoint(
        method="PUT",
        path=f"{_USERS}/{{user_id}}",
        operation="api.user.update",
        operation_id="updateUserProfile",
        tag="user",
        summary="Change what is known of a person; what is left out stays.",
        demand=OwnOr((UpdateUser, ReadUser)),
        handler=update_user,
        inputs=UserInputs,
        body=UserProfile,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_USERS}/{{user_id}}",
        operation="api.user.delete",
        operation_id="deleteUser",
        tag="user",
        summary="Delete a person.",
        demand=OnSystem(DeleteUser),
        handler=delete_user,
        inputs=UserInputs,
        body=NoBody,
    ),
    Endpoint(
        method="PUT",
        path=f"{_USERS}/{{user_id}}/sysadmin",
        operation="api.user.set-administrator",
        operation_id="setUserSysAdmin",
        tag="user",
        summary="Give a person the role operations-admin, or take it; the last one keeps it.",
        demand=OnSystem(UpdateUser),
        handler=set_administrator,
        inputs=UserInputs,
        body=UserSysAdminFlag,
    ),
    Endpoint(
        method="PUT",
        path=f"{_USERS}/{{user_id}}/password",
        operation="api.user.set-password",
        operation_id="updateUserPassword",
        tag="user",
        summary="Change one's own password with the old one, or give somebody one that they have to change.",
        demand=OwnOr((UpdateUser,)),
        handler=set_password,
        inputs=UserInputs,
        body=PasswordReq,
    ),
)
