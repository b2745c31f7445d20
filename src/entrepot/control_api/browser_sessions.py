"""The protocol of logins that a browser keeps in a cookie; whoever stores them implements it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from entrepot.auth.principals import Principal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.grants import SelfGrant, SystemGrant
    from entrepot.auth.principals import Origin
    from entrepot.auth.system_actions import DeleteSession, ListSession

__all__ = ["BrowserSession", "BrowserSessions", "SessionFacts", "StartedSession"]


class BrowserSession(msgspec.Struct, frozen=True):
    """A session that was found by its cookie.

    Attributes:
        session_id: its public id, which is no secret.
        csrf_token: what pages of ours send back with each change; bound to the session, unknown to other sites.
        keep: notes that the session is in use, once a page of ours is known to have sent the request.
    """

    session_id: str
    principal: Principal
    csrf_token: str
    keep: Callable[[], Awaitable[None]]


class StartedSession(msgspec.Struct, frozen=True):
    """A session that has just begun.

    Attributes:
        cookie: the secret; it is in no other place than this answer and the browser.
    """

    session_id: str
    cookie: str
    csrf_token: str


class SessionFacts(msgspec.Struct, frozen=True):
    """What people see of their sessions. Times are milliseconds since 1970."""

    session_id: str
    username: str
    address: str
    user_agent: str
    created_at: int
    last_used_at: int


class BrowserSessions(Protocol):
    """Sessions of people, shared by all processes and nodes; they end by themselves, too."""

    async def log_in(
        self, name: str, password: str, address: str, origin: Origin, *, forwarded: bool
    ) -> StartedSession:
        """Begin a session for a person who presents a password; robots and access tokens get none.

        Raises:
            InvalidCredentialsError, LockedOutError: it is not theirs, or must not be tried now.
        """
        ...

    async def resume(
        self, cookie: str, address: str, origin: Origin, *, forwarded: bool
    ) -> BrowserSession | None:
        """Return the session of a cookie with the person as they are now; `None` when it is over, or never was.

        It lasts no longer for that: see :attr:`BrowserSession.keep`.
        """
        ...

    async def end(self, cookie: str, principal: Principal) -> None:
        """End the session of a cookie; one that is over stays over."""
        ...

    async def list_own(self, grant: SelfGrant) -> Sequence[SessionFacts]:
        """Return the sessions of the person, the newest first."""
        ...

    async def revoke_own(self, grant: SelfGrant, session_id: str) -> bool:
        """End a session of the person by its public id; `False` when they have none with that id (S7)."""
        ...

    async def list_all(
        self, grant: SystemGrant[ListSession], limit: int, offset: int
    ) -> tuple[Sequence[SessionFacts], int]:
        """Return a page of everybody's sessions, the oldest first, and how many there are in all."""
        ...

    async def exists(self, grant: SystemGrant[ListSession], session_id: str) -> bool:
        """Tell whether anybody has a session with that id."""
        ...

    async def revoke(self, grant: SystemGrant[DeleteSession], session_id: str) -> bool:
        """End anybody's session by its public id; `False` when there is none with that id."""
        ...
