"""The account of one person: administrators manage everybody's, and everybody their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.people.new_people import ProfileChange
from entrepot.auth.system_actions import DeleteUser, ReadUser, UpdateUser
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import OnSystem, OwnOr
from entrepot.control_api.endpoints.users import UserResp, shown_user
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.json_bodies import missing_field
from entrepot.control_api.reply import DONE, json_reply

if TYPE_CHECKING:
    from entrepot.auth.grants import SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import OwnGate
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.user_store import EndedCredentials

__all__ = ["USER_ACCOUNT_ENDPOINTS", "StoppedRobots", "UserInputs"]

_ONE: Final = f"{API_PREFIX}/users/{{user_id}}"
_WHEN_NEEDED: Final = (
    "Needed for one's own password, and left out for somebody else's; a wrong one is 403, and counts."
)


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
    old_password: Annotated[str, msgspec.Meta(description=_WHEN_NEEDED)] = ""


class PasswordResp(msgspec.Struct, frozen=True):
    """How much ended with the old password: access tokens only when it was not the person who changed it."""

    access_tokens: int
    refresh_tokens: int
    sessions: int


class StoppedRobots(msgspec.Struct, frozen=True):
    """How many robots may do nothing any more, as the person answers for them; 0 for one who is let in again."""

    robots: int


class UserInputs(msgspec.Struct, frozen=True):
    """Which person is meant."""

    user_id: int


async def read_user(services: ControlServices, call: Call[OwnGate, UserInputs, NoBody]) -> Reply:
    """Show a person."""
    if await _is_own(services, call.grant, call.inputs.user_id):
        return json_reply(shown_user(await services.people.get_self(await call.grant.own())))
    grant = await call.grant.system(ReadUser)
    return json_reply(shown_user(await services.people.get(grant, call.inputs.user_id)))


async def update_user(services: ControlServices, call: Call[OwnGate, UserInputs, UserProfile]) -> Reply:
    """Change what is known of a person."""
    change = ProfileChange(call.body.email, call.body.realname, call.body.comment)
    if await _is_own(services, call.grant, call.inputs.user_id):
        await services.people.update_self(await call.grant.own(), change)
    else:
        await services.people.update(await call.grant.system(UpdateUser), call.inputs.user_id, change)
    return DONE


async def delete_user(
    services: ControlServices, call: Call[SystemGrant[DeleteUser], UserInputs, NoBody]
) -> Reply:
    """Delete a person and tell how many robots stop with them."""
    subject = await services.people.delete(call.grant, call.inputs.user_id)
    services.memory.forget(subject)
    return json_reply(StoppedRobots(await services.robots.count_of_person(call.grant, subject)))


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
    """Change one's own password, or give somebody one that they have to change.

    Raises:
        InvalidInputError: it is one's own, and the old one is not there; that is no guess, so it is not counted.
    """
    if await _is_own(services, call.grant, call.inputs.user_id):
        own = await call.grant.own_password()
        if not call.body.old_password:
            raise InvalidInputError((missing_field("old_password"),))
        ended = await services.password_changes.change_own(
            own, call.body.old_password, call.body.new_password
        )
        services.memory.forget(own.principal.subject)
        return _password_reply(ended)
    grant = await call.grant.system(UpdateUser)
    done = await services.password_changes.reset(grant, call.inputs.user_id, call.body.new_password)
    services.memory.forget(done.subject)
    return _password_reply(done.ended)


def _password_reply(ended: EndedCredentials) -> Reply:
    return json_reply(PasswordResp(ended.access_tokens, ended.refresh_tokens, ended.sessions))


async def _is_own(services: ControlServices, gate: OwnGate, person_id: int) -> bool:
    """Whether a number is that of the person who asks; robots and limited tokens have no account of their own."""
    if gate.principal.kind != "user":
        return False
    try:
        own = await gate.own_password()
    except AccessDeniedError:
        return False
    return (await services.people.get_self(own)).id == person_id


USER_ACCOUNT_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_ONE,
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
        path=_ONE,
        operation="api.user.update",
        operation_id="updateUserProfile",
        tag="user",
        summary="Change what is known of a person; what is left out stays.",
        demand=OwnOr((UpdateUser,)),
        handler=update_user,
        inputs=UserInputs,
        body=UserProfile,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        operation="api.user.delete",
        operation_id="deleteUser",
        tag="user",
        summary="Delete a person.",
        demand=OnSystem(DeleteUser),
        handler=delete_user,
        inputs=UserInputs,
        body=NoBody,
        result=StoppedRobots,
    ),
    Endpoint(
        method="PUT",
        path=f"{_ONE}/sysadmin",
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
        path=f"{_ONE}/password",
        operation="api.user.set-password",
        operation_id="updateUserPassword",
        tag="user",
        summary="Change one's own password with the old one, or give somebody one that they have to change: "
        "their access tokens, sessions and refresh tokens are deleted.",
        demand=OwnOr((UpdateUser,)),
        handler=set_password,
        inputs=UserInputs,
        body=PasswordReq,
        result=PasswordResp,
    ),
)
