"""Browsers' sessions as endpoints know them, on the service that keeps them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.people.errors import SessionUnknownError
from entrepot.auth.people.sessions import forgery_secret_of
from entrepot.control_api.browser_sessions import BrowserSession, SessionFacts, StartedSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.grants import SelfGrant, SystemGrant
    from entrepot.auth.people.sessions import Sessions
    from entrepot.auth.principals import Origin, Principal
    from entrepot.auth.system_actions import DeleteSession, ListSession
    from entrepot.metadata.session_store import SessionRow

__all__ = ["WebSessions"]


class WebSessions:
    """Implements :class:`entrepot.control_api.browser_sessions.BrowserSessions`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def log_in(
        self, name: str, password: str, address: str, origin: Origin, *, forwarded: bool
    ) -> StartedSession:
        """See the protocol."""
        begun = await self._sessions.log_in(name, password, address, origin, forwarded=forwarded)
        return StartedSession(begun.public_id, begun.secret, begun.forgery_secret)

    async def resume(
        self, cookie: str, address: str, origin: Origin, *, forwarded: bool
    ) -> BrowserSession | None:
        """See the protocol."""
        try:
            live = await self._sessions.find(cookie, address, origin, forwarded=forwarded)
        except InvalidCredentialsError:
            return None
        return BrowserSession(
            live.session.public_id,
            live.principal,
            forgery_secret_of(cookie),
            partial(self._sessions.keep, live),
        )

    async def end(self, cookie: str, principal: Principal) -> None:
        """See the protocol."""
        try:
            live = await self._sessions.find(
                cookie, principal.address, principal.origin, forwarded=principal.forwarded
            )
        except InvalidCredentialsError:
            return
        await self._sessions.log_out(live)

    async def list_own(self, grant: SelfGrant) -> Sequence[SessionFacts]:
        """See the protocol."""
        return [_facts(row) for row in reversed(await self._sessions.list_own(grant))]

    async def revoke_own(self, grant: SelfGrant, session_id: str) -> bool:
        """See the protocol."""
        try:
            await self._sessions.revoke_own(grant, session_id)
        except SessionUnknownError:
            return False
        return True

    async def list_all(
        self, grant: SystemGrant[ListSession], limit: int, offset: int
    ) -> tuple[Sequence[SessionFacts], int]:
        """See the protocol."""
        rows = await self._sessions.list_all(grant, limit, offset)
        return [_facts(row) for row in rows], await self._sessions.count_all(grant)

    async def exists(self, grant: SystemGrant[ListSession], session_id: str) -> bool:
        """See the protocol."""
        return await self._sessions.exists(grant, session_id)

    async def revoke(self, grant: SystemGrant[DeleteSession], session_id: str) -> bool:
        """See the protocol."""
        try:
            await self._sessions.revoke(grant, session_id)
        except SessionUnknownError:
            return False
        return True


def _facts(row: SessionRow) -> SessionFacts:
    return SessionFacts(
        row.public_id, row.name, row.address, row.user_agent, row.created_at, row.last_seen_at
    )
