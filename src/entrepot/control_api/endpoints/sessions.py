"""Sessions in browsers: begin one with JSON, see and end one's own, or as an administrator everybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.system_actions import DeleteSession, ListSession
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OwnOr, Public
from entrepot.control_api.endpoints.logins import log_in
from entrepot.control_api.errors import ItemUnknownError
from entrepot.control_api.names import format_time
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, created, page_reply

if TYPE_CHECKING:
    from entrepot.control_api.browser_sessions import SessionFacts
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import OwnGate
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["SESSION_ENDPOINTS", "NewSession", "Session", "SessionInputs"]

_COLLECTION: Final = f"{API_PREFIX}/sessions"


class NewSession(msgspec.Struct, frozen=True):
    """What a person types."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class Session(msgspec.Struct, frozen=True):
    """One session; its id is no secret and opens nothing."""

    id: str
    username: str
    address: str
    user_agent: str
    creation_time: str
    last_use_time: str


class SessionListInputs(PageInputs, frozen=True):
    """Whose sessions are meant."""

    all: bool = False


class SessionInputs(msgspec.Struct, frozen=True):
    """Which session is meant."""

    session_id: Annotated[str, msgspec.Meta(max_length=64)]


async def create_session(services: ControlServices, call: Call[None, NoInputs, NewSession]) -> Reply:
    """Log a browser in."""
    started, headers = await log_in(services, call.body.username, call.body.password, call.head)
    reply = created(f"{_COLLECTION}/{started.session_id}")
    return msgspec.structs.replace(reply, headers=(*reply.headers, *headers))


def _shown(facts: SessionFacts) -> Session:
    return Session(
        facts.session_id,
        facts.username,
        facts.address,
        facts.user_agent,
        format_time(facts.created_at),
        format_time(facts.last_used_at),
    )


async def list_sessions(services: ControlServices, call: Call[OwnGate, SessionListInputs, NoBody]) -> Reply:
    """List one's own sessions, or everybody's."""
    page = call.inputs
    if page.all:
        grant = await call.grant.system(ListSession)
        found, total = await services.sessions.list_all(grant, page.page_size, page.offset)
        return page_reply([_shown(facts) for facts in found], total, page, call.head)
    every = await services.sessions.list_own(await call.grant.own())
    shown = [_shown(facts) for facts in every[page.offset : page.offset + page.page_size]]
    return page_reply(shown, len(every), page, call.head)


async def delete_session(services: ControlServices, call: Call[OwnGate, SessionInputs, NoBody]) -> Reply:
    """End a session; that of somebody else does not exist for whoever may not even see everybody's (S7).

    Raises:
        AccessDeniedError: they see it, and may not end it.
        ItemUnknownError: they can end none with this id.
    """
    session_id = call.inputs.session_id
    if await services.sessions.revoke_own(await call.grant.own(), session_id):
        return DONE
    try:
        grant = await call.grant.system(DeleteSession)
    except AccessDeniedError as denied:
        if await _sees(services, call.grant, session_id):
            raise
        raise ItemUnknownError("session") from denied
    if not await services.sessions.revoke(grant, session_id):
        raise ItemUnknownError("session")
    return DONE


async def _sees(services: ControlServices, gate: OwnGate, session_id: str) -> bool:
    try:
        grant = await gate.system(ListSession)
    except AccessDeniedError:
        return False
    return await services.sessions.exists(grant, session_id)


SESSION_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path=_COLLECTION,
        operation="api.session.create",
        operation_id="createSession",
        tag="session",
        summary="Log a browser in; sets the cookie `sid` and answers with the token for changes in a header.",
        demand=Public,
        handler=create_session,
        inputs=NoInputs,
        body=NewSession,
        status=201,
        sent=("Set-Cookie", "X-Harbor-CSRF-Token"),
    ),
    Endpoint(
        method="GET",
        path=_COLLECTION,
        operation="api.session.list",
        operation_id="listSessions",
        tag="session",
        summary="One's own sessions in browsers, the newest first; with `all=true` everybody's, the oldest first.",
        demand=OwnOr((ListSession,)),
        handler=list_sessions,
        inputs=SessionListInputs,
        body=NoBody,
        result=list[Session],
    ),
    Endpoint(
        method="DELETE",
        path=f"{_COLLECTION}/{{session_id}}",
        operation="api.session.delete",
        operation_id="deleteSession",
        tag="session",
        summary="End one of one's own sessions, or anybody's.",
        demand=OwnOr((DeleteSession,), visible_to=(ListSession,)),
        handler=delete_session,
        inputs=SessionInputs,
        body=NoBody,
    ),
)
