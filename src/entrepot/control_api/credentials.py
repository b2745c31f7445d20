"""Who asks: by Basic, by an access token as bearer, by the cookie of a browser's session, or nobody."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.principals import Principal

if TYPE_CHECKING:
    from entrepot.control_api.browser_sessions import BrowserSession
    from entrepot.control_api.request_head import RequestHead
    from entrepot.control_api.services import ControlServices

__all__ = [
    "ACCESS_TOKEN_PREFIX",
    "SESSION_COOKIE",
    "Caller",
    "find_caller",
    "find_session",
    "session_cookie",
    "session_cookies",
]

SESSION_COOKIE: Final = "sid"
ACCESS_TOKEN_PREFIX: Final = "ept_"  # noqa: S105  # how access tokens begin, not one of them
_MAX_COOKIE_CHARACTERS: Final = 512


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and the session they ask in, if it is one."""

    principal: Principal
    session: BrowserSession | None = None


async def find_caller(head: RequestHead, services: ControlServices) -> Caller:
    """Return who asks. What was presented counts, in this order: `Authorization`, the cookie, nothing.

    A cookie of a session that is over leaves its owner unknown rather than refused, so that a browser gets to the
    login again.

    Raises:
        InvalidCredentialsError: what `Authorization` holds belongs to nobody, or can't be read.
        LockedOutError: too many wrong passwords.
    """
    authorization = head.header("authorization")
    if authorization:
        return Caller(await _by_authorization(authorization, head, services))
    by_session = await find_session(head, services)
    if by_session is not None:
        return by_session
    return Caller(Principal("anonymous", head.address, head.forwarded, origin=head.origin()))


async def find_session(head: RequestHead, services: ControlServices) -> Caller | None:
    """Return whose session the cookie is of; `None` without one, or when it is over."""
    cookie = session_cookie(head)
    if not cookie:
        return None
    session = await services.sessions.resume(cookie, head.address, head.origin(), forwarded=head.forwarded)
    return None if session is None else Caller(session.principal, session)


def session_cookie(head: RequestHead) -> str:
    """Return the secret of the session that the browser remembers, empty when there is none, or more than one.

    Whatever else stands in the header (RFC 6265, section 4.2) is somebody else's matter, whether or not it is well
    formed. Of two of this name, one may have been planted by another host of the same domain.
    """
    found = session_cookies(head)
    value = found[0] if len(found) == 1 else ""
    return value if len(value) <= _MAX_COOKIE_CHARACTERS else ""


def session_cookies(head: RequestHead) -> tuple[str, ...]:
    """Return the values of all cookies that have the name of ours."""
    pairs = (pair.partition("=") for pair in head.header("cookie").split(";"))
    return tuple(value.strip(" \t") for name, _, value in pairs if name.strip(" \t") == SESSION_COOKIE)


async def _by_authorization(text: str, head: RequestHead, services: ControlServices) -> Principal:
    scheme, _, credentials = text.partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer" and credentials.startswith(ACCESS_TOKEN_PREFIX):
        return await services.authenticator.by_token(
            credentials, head.address, head.origin(), forwarded=head.forwarded
        )
    if scheme.lower() != "basic":
        raise InvalidCredentialsError("neither Basic nor an access token")
    name, secret = _read_basic(credentials)
    return await services.authenticator.by_basic(
        name, secret, head.address, head.origin(), forwarded=head.forwarded
    )


def _read_basic(credentials: str) -> tuple[str, str]:
    """Return name and secret (RFC 7617: UTF-8, and a name has no colon)."""
    try:
        name, colon, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise InvalidCredentialsError("malformed Basic credentials") from error
    if not colon or not secret:
        raise InvalidCredentialsError("Basic credentials without a secret")
    return name, secret
