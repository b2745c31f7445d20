"""Logins in a browser: begun with a password, ended by idleness, by time, by others, or by a moved epoch (S14).

The cookie and the header are the edge's matter. What a session's requests must show beside the cookie is derived from
its secret, so it needs no place of its own and can't be another session's.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.authentication import BeginningSession
from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.people.errors import SessionUnknownError
from entrepot.auth.people.lockout import legible
from entrepot.auth.principals import Principal
from entrepot.kernel.ids import new_public_id
from entrepot.kernel.secret_forms import new_secret_of
from entrepot.metadata.errors import MetadataError
from entrepot.metadata.session_store import NewSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.authentication import PasswordLogin
    from entrepot.auth.grants import SelfGrant, SystemGrant
    from entrepot.auth.people.password_policy import PasswordPolicy
    from entrepot.auth.principals import Origin
    from entrepot.auth.rights_of_others import RightsOfOthers
    from entrepot.auth.system_actions import DeleteSession, ListSession
    from entrepot.metadata.session_store import SessionRow
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["BegunSession", "LiveSession", "SessionLimits", "Sessions", "forgery_secret_of"]

_log: Any = structlog.get_logger()

_PREFIX: Final = "ess_"
_TOUCH_MILLISECONDS: Final = 60_000
"""How seldom it is written that a session is in use, at least; more often where it would soon be idle for too long."""
_TOUCHES_BEFORE_IDLE: Final = 6


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long sessions last, and how many one person can have."""

    idle_seconds: int = 1800
    absolute_seconds: int = 43200
    concurrent: int = 5


@dataclass(frozen=True, slots=True)
class BegunSession:
    """A new session; both secrets are given out here and never again.

    Attributes:
        secret: for the cookie.
        forgery_secret: what requests that change something show beside it (CSRF).
    """

    secret: str
    forgery_secret: str
    public_id: str
    principal: Principal


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that was found to be good, and who uses it."""

    session: SessionRow
    principal: Principal


class Sessions:
    """The service; safe for any number of tasks. Somebody else's are ended by those who hold all they do (S9)."""

    def __init__(
        self,
        metadata: Metadata,
        logins: PasswordLogin,
        policy: PasswordPolicy,
        limits: SessionLimits,
        rights: RightsOfOthers,
    ) -> None:
        self._metadata = metadata
        self._rights = rights
        self._logins = logins
        self._policy = policy
        self._limits = limits
        self._idle = limits.idle_seconds * 1000
        self._touch = min(_TOUCH_MILLISECONDS, self._idle // _TOUCHES_BEFORE_IDLE)

    async def log_in(
        self, name: str, password: str, address: str, origin: Origin, *, forwarded: bool
    ) -> BegunSession:
        """Begin a session for whoever shows a password; the oldest ends when there are too many.

        Raises:
            InvalidCredentialsError, LockedOutError, PasswordsBusyError: as :class:`PasswordLogin` says.
        """
        secret, public_id = new_secret_of(_PREFIX), new_public_id()

        async def begin(tx: Transaction, person: int, epoch: int) -> None:
            session = NewSession(
                public_id=public_id,
                secret_hash=_hash_of(secret),
                person_id=person,
                epoch=epoch,  # from before the check: a password that is changed meanwhile leaves no session behind
                address=address,
                user_agent=legible(origin.user_agent),
                lifetime_milliseconds=self._limits.absolute_seconds * 1000,
            )
            await tx.web_sessions.insert(session, self._limits.concurrent)

        principal = await self._logins.by_password(
            name, password, address, origin, forwarded=forwarded, session=BeginningSession(public_id, begin)
        )
        return BegunSession(secret, forgery_secret_of(secret), public_id, principal)

    async def find(self, secret: str, address: str, origin: Origin, *, forwarded: bool) -> LiveSession:
        """Return the session that a cookie's secret belongs to; :meth:`keep` has it last.

        Raises:
            InvalidCredentialsError: there is none, or none any more.
        """
        found = await self._metadata.web_sessions.find(_hash_of(secret), self._idle)
        if found is None:
            raise InvalidCredentialsError("no such session")
        if found.ahead_milliseconds:
            await self._end_dated_ahead(found)
            raise InvalidCredentialsError("the session was used under a clock that has been put back")
        principal = Principal(
            found.subject,
            address,
            forwarded,
            name=found.name,
            kind="user",
            origin=origin,
            must_change_password=found.must_change_password
            or self._policy.is_too_old(found.password_age_milliseconds),
            session=found.public_id,
            epoch=found.epoch,
        )
        return LiveSession(found, principal)

    async def keep(self, live: LiveSession) -> None:
        """Note that a session is in use, once a minute; not for a request that is refused."""
        if live.session.idle_milliseconds >= self._touch:
            await self._metadata.write(lambda tx: tx.web_sessions.touch(live.session.id))

    async def _end_dated_ahead(self, session: SessionRow) -> None:
        """End a session of a clock that was ahead (F27): it would be good again when the clock comes to its time."""
        with contextlib.suppress(MetadataError):  # it is refused all the same
            await self._metadata.write(lambda tx: tx.web_sessions.delete(session.id))
        seconds = session.ahead_milliseconds // 1000
        _log.warning("session.dated_ahead", session=session.public_id, seconds=seconds)

    async def log_out(self, live: LiveSession) -> None:
        """End a session on behalf of whoever uses it."""
        record = audit_record(
            live.principal, AuditAction.LOGOUT, AuditObject("session", live.session.public_id)
        )

        async def unit(tx: Transaction) -> None:
            await tx.web_sessions.delete(live.session.id)
            await tx.audit.append(record)

        await self._metadata.write(unit)

    async def list_own(self, grant: SelfGrant) -> Sequence[SessionRow]:
        """Return the sessions of the person who asks, the oldest first."""
        person = await self._metadata.users.find_subject(grant.principal.subject)
        return () if person is None else await self._metadata.web_sessions.list_of(person.id, self._idle)

    async def list_all(self, grant: SystemGrant[ListSession], limit: int, skip: int) -> Sequence[SessionRow]:
        """Return up to `limit` sessions of everybody, the oldest first, without the first `skip`."""
        del grant  # it is the proof that the caller may see everybody's
        return await self._metadata.web_sessions.list_all(self._idle, limit, skip)

    async def count_all(self, grant: SystemGrant[ListSession]) -> int:
        """Return how many sessions of everybody there are."""
        del grant
        return await self._metadata.web_sessions.count_all(self._idle)

    async def exists(self, grant: SystemGrant[ListSession], public_id: str) -> bool:
        """Tell whether anybody has a session with a public id."""
        del grant
        return await self._metadata.web_sessions.find_public(public_id) is not None

    async def revoke_own(self, grant: SelfGrant, public_id: str) -> None:
        """End one of one's own sessions.

        Raises:
            SessionUnknownError: there is none, or it is somebody else's (S7).
        """
        await self._revoke(grant.principal, public_id, owner=grant.principal.subject)

    async def revoke(self, grant: SystemGrant[DeleteSession], public_id: str) -> None:
        """End anybody's session.

        Raises:
            SessionUnknownError: there is none.
            AccessDeniedError: the person holds what the principal does not (S9).
        """
        found = await self._metadata.web_sessions.find_public(public_id)
        if found is None:
            raise SessionUnknownError
        await self._rights.require_held(grant.principal, found.person_id)
        await self._revoke(grant.principal, public_id, owner=found.subject)

    async def _revoke(self, principal: Principal, public_id: str, owner: str) -> None:
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            session = await tx.web_sessions.find(public_id)
            if session is None or session.subject != owner:
                raise SessionUnknownError
            await tx.web_sessions.delete(session.id)
            await tx.audit.append(
                audit_record(
                    principal,
                    AuditAction.SESSION_REVOKE,
                    AuditObject("session", public_id),
                    before={"subject": session.subject},
                    record_id=record_id,
                )
            )

        await self._metadata.write(unit)


def forgery_secret_of(secret: str) -> str:
    """Return what requests of a session show beside its cookie; compare with `hmac.compare_digest` (S20)."""
    tag = hmac.digest(secret.encode(), b"entrepot session requests", "sha256")
    return base64.urlsafe_b64encode(tag).decode().rstrip("=")


def _hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
