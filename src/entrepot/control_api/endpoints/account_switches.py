"""Lets people in and keeps them out: disabled accounts, and locks after wrong passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.system_actions import UpdateUser
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import OnSystem
from entrepot.control_api.endpoints.user_accounts import StoppedRobots, UserInputs
from entrepot.control_api.reply import json_reply

if TYPE_CHECKING:
    from entrepot.auth.grants import SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["ACCOUNT_SWITCH_ENDPOINTS"]

_ONE: Final = f"{API_PREFIX}/users/{{user_id}}"


class DisabledFlag(msgspec.Struct, frozen=True):
    """Whether a person is kept out."""

    disabled: bool


class UnlockResp(msgspec.Struct, frozen=True):
    """What there was to unlock.

    Attributes:
        addresses: from how many addresses wrong passwords had been counted; 0 when nothing kept the person out.
    """

    addresses: int


async def unlock_user(
    services: ControlServices, call: Call[SystemGrant[UpdateUser], UserInputs, NoBody]
) -> Reply:
    """Remove the locks that wrong passwords put on an account, and tell from how many addresses those came."""
    return json_reply(UnlockResp(await services.people.unlock(call.grant, call.inputs.user_id)))


async def set_disabled(
    services: ControlServices, call: Call[SystemGrant[UpdateUser], UserInputs, DisabledFlag]
) -> Reply:
    """Keep a person out and tell how many robots stop with them, or let them in again."""
    if not call.body.disabled:
        await services.people.enable(call.grant, call.inputs.user_id)
        return json_reply(StoppedRobots(0))
    subject = await services.people.disable(call.grant, call.inputs.user_id)
    services.memory.forget(subject)
    return json_reply(StoppedRobots(await services.robots.count_of_person(call.grant, subject)))


ACCOUNT_SWITCH_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path=f"{_ONE}/unlock",
        operation="api.user.unlock",
        operation_id="unlockUser",
        tag="user",
        summary="Remove the locks that wrong passwords put on an account.",
        demand=OnSystem(UpdateUser),
        handler=unlock_user,
        inputs=UserInputs,
        body=NoBody,
        result=UnlockResp,
    ),
    Endpoint(
        method="PUT",
        path=f"{_ONE}/disabled",
        operation="api.user.set-disabled",
        operation_id="setUserDisabled",
        tag="user",
        summary="Keep a person out, or let them in again; not oneself, and not the last administrator.",
        demand=OnSystem(UpdateUser),
        handler=set_disabled,
        inputs=UserInputs,
        body=DisabledFlag,
        result=StoppedRobots,
    ),
)
