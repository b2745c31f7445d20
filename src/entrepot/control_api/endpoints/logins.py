"""The forms by which a browser logs in and out, where Harbor has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.control_api.credentials import Caller, find_session, session_cookie, session_cookies
from entrepot.control_api.declarations import Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import Anyone, Public
from entrepot.control_api.errors import MalformedRequestError
from entrepot.control_api.forgery import CSRF_HEADER, require_csrf_token
from entrepot.control_api.reply import Reply
from entrepot.control_api.session_cookies import forgetting_cookie, keeping_cookie

if TYPE_CHECKING:
    from entrepot.control_api.browser_sessions import StartedSession
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.request_head import RequestHead
    from entrepot.control_api.services import ControlServices

__all__ = ["LOGIN_ENDPOINTS", "LoginForm", "log_in"]


class LoginForm(msgspec.Struct, frozen=True):
    """What a person types."""

    principal: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


async def log_in(
    services: ControlServices, name: str, password: str, head: RequestHead
) -> tuple[StartedSession, tuple[tuple[str, str], ...]]:
    """Begin a session for a person, and return it with the headers that a browser needs for it.

    Raises:
        InvalidCredentialsError, LockedOutError: it is not theirs, or must not be tried now.
    """
    started = await services.sessions.log_in(
        name, password, head.address, head.origin(), forwarded=head.forwarded
    )
    external_url = (await services.system.current()).external_url
    return started, (
        keeping_cookie(started.cookie, head, external_url),
        (CSRF_HEADER, started.csrf_token),
    )


async def submit_login(services: ControlServices, call: Call[None, NoInputs, LoginForm]) -> Reply:
    """Log in; the answer has no body."""
    _, headers = await log_in(services, call.body.principal, call.body.password, call.head)
    return Reply(200, headers=headers)


async def log_out(services: ControlServices, call: Call[Caller, NoInputs, NoBody]) -> Reply:
    """End the session of the browser, if it has one, and have it forget the cookie.

    Raises:
        ForeignRequestError: credentials came beside the cookie, and the session's token did not.
        MalformedRequestError: there are several cookies of this name, so that it is not known which session to end.
    """
    head = call.head
    if len(session_cookies(head)) > 1:
        raise MalformedRequestError(
            "the request has more than one cookie of the name sid: no session was ended"
        )
    found = call.grant if call.grant.session is not None else await find_session(head, services)
    if found is not None and found.session is not None:
        require_csrf_token(head, found.session.csrf_token)
        await services.sessions.end(session_cookie(head), found.principal)
    external_url = (await services.system.current()).external_url
    return Reply(200, headers=(forgetting_cookie(call.head, external_url),))


LOGIN_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/c/login",
        operation="api.login",
        operation_id="login",
        tag="login",
        summary="Log a browser in with the form fields `principal` and `password`; sets the cookie `sid`.",
        demand=Public,
        handler=submit_login,
        inputs=NoInputs,
        body=LoginForm,
        encoding="form",
        sent=("Set-Cookie", "X-Harbor-CSRF-Token"),
    ),
    Endpoint(
        method="POST",
        path="/c/log_out",
        operation="api.logout",
        operation_id="logOut",
        tag="login",
        summary="End the session of a browser. Harbor also takes GET, which a foreign page could have it send.",
        demand=Anyone(who="at all"),
        handler=log_out,
        inputs=NoInputs,
        body=NoBody,
        sent=("Set-Cookie",),
    ),
)
