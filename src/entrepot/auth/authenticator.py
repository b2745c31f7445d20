"""Tells who is behind what was presented: people, robots and access tokens, through one door."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from entrepot.auth.access_tokens.scopes import limits_of
from entrepot.auth.access_tokens.token_logins import TOKEN_PREFIX, TokenLogins, account_of_token
from entrepot.auth.credential_memory import Verified
from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.login_watch import LoginWatch
from entrepot.auth.machine_logins import Attempt, LoginBook, in_seconds, is_storable_name
from entrepot.auth.principals import CredentialLimits, Principal
from entrepot.auth.robots.addresses import is_address_allowed
from entrepot.auth.robots.robot_logins import ROBOT_PREFIX, RobotLogins
from entrepot.auth.robots.sponsors import sponsor_of
from entrepot.auth.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.authentication import PasswordLogin
    from entrepot.auth.chosen_secrets import SecretHasher
    from entrepot.auth.credential_memory import CredentialMemory
    from entrepot.auth.failures import FailureCounter
    from entrepot.auth.last_uses import LastUses
    from entrepot.auth.principals import Origin
    from entrepot.auth.typed_names import TypedNames
    from entrepot.metadata.credential_store import StoredSubject
    from entrepot.metadata.store import Metadata

    _Verify: TypeAlias = Callable[[Attempt], Awaitable[Verified]]

__all__ = ["CredentialAuthenticator"]


class CredentialAuthenticator:
    """Implements :class:`entrepot.auth.authentication.Authenticator`. Belongs to one event loop.

    A credential that was right is remembered for a minute. Requests that present the same one at the same time share
    one check of it, so fifty layers that are pulled at once cost one slow hash; a wrong one that is presented fifty
    times at once is one guess, and counts and is recorded as one. A person whose password is due, or as old as
    `is_too_old` says (its age in milliseconds), comes with `must_change_password`, whatever they presented.
    """

    def __init__(
        self,
        *,
        metadata: Metadata,
        notes: AuditNotes,
        names: TypedNames,
        passwords: PasswordLogin,
        hasher: SecretHasher,
        failures: FailureCounter,
        memory: CredentialMemory,
        uses: LastUses,
        is_too_old: Callable[[int | None], bool],
        watch: LoginWatch | None = None,
    ) -> None:
        book = LoginBook(metadata, notes, failures, watch or LoginWatch())
        self._credentials = metadata.credentials
        self._names = names
        self._passwords = passwords
        self._robots = RobotLogins(metadata.credentials, hasher, book)
        self._tokens = TokenLogins(metadata.credentials, book, is_too_old)
        self._is_too_old = is_too_old
        self._memory = memory
        self._uses = uses
        self._flights: SingleFlight[Verified] = SingleFlight()

    async def by_basic(
        self, name: str, secret: str, address: str, origin: Origin, *, forwarded: bool
    ) -> Principal:
        """See the protocol. The principal carries the present request's address and origin.

        Raises:
            InvalidCredentialsError, LockedOutError: as the protocol says.
            MetadataUnavailableError: the database was not heard of for too long to vouch for what is remembered (I6).
        """
        return await self._present(Attempt(name, secret, address, origin, forwarded), self._verified)

    async def by_token(self, token: str, address: str, origin: Origin, *, forwarded: bool) -> Principal:
        """See the protocol. Remembered as what comes with a name is.

        Raises:
            InvalidCredentialsError: as the protocol says.
            MetadataUnavailableError: as :meth:`by_basic`.
        """
        attempt = Attempt(account_of_token(token), token, address, origin, forwarded)
        return await self._present(attempt, self._tokens.verify_alone)

    async def by_subject(
        self, subject: str, credential: str, address: str, origin: Origin, *, forwarded: bool
    ) -> Principal:
        """See the protocol. One point read; nothing of it is remembered.

        Raises:
            InvalidCredentialsError: as the protocol says, or the robot is not allowed from there.
        """
        row = await self._credentials.find_subject(subject, credential)
        if row is None:
            raise InvalidCredentialsError("unknown subject")
        principal = Principal(
            row.subject,
            address,
            forwarded,
            row.name,
            row.kind,
            origin=origin,
            limits=_limits(row, credential),
            must_change_password=row.must_change_password
            or (row.kind == "user" and self._is_too_old(row.password_age_milliseconds)),
            epoch=row.epoch,
            sponsor=None if row.sponsor is None else sponsor_of(row.sponsor),
            ends_at=in_seconds(row.ends_at),
        )
        obstacle = _obstacle(row, credential, address, forwarded=forwarded)
        if obstacle:
            raise InvalidCredentialsError(obstacle, principal)
        self._note_use(principal)
        return principal

    async def aclose(self) -> None:
        """Wait for checks that are under way. May be called again."""
        await self._flights.aclose()

    async def _present(self, attempt: Attempt, verify: _Verify) -> Principal:
        address, forwarded = attempt.address, attempt.forwarded
        key = self._memory.key(attempt.name, attempt.secret, address, forwarded=forwarded)
        verified = self._memory.find(key)
        if verified is None:
            verified = await self._flights.run(key, partial(self._remember, key, attempt, verify))
        principal = verified.principal
        self._note_use(principal)
        return msgspec.structs.replace(principal, address=address, forwarded=forwarded, origin=attempt.origin)

    async def _remember(self, key: bytes, attempt: Attempt, verify: _Verify) -> Verified:
        moment = self._memory.moment()
        verified = await verify(attempt)
        self._memory.remember(key, verified, moment)
        return verified

    async def _verified(self, attempt: Attempt) -> Verified:
        if attempt.name.startswith(ROBOT_PREFIX):
            return await self._robots.verify(await self._named(attempt))
        if attempt.secret.startswith(TOKEN_PREFIX):
            return await self._tokens.verify(await self._named(attempt))
        return await self._verify_password(attempt)

    async def _named(self, attempt: Attempt) -> Attempt:
        """Return the attempt with a name that may be kept; those who check passwords see to it themselves."""
        return msgspec.structs.replace(attempt, kept_name=await self._names.kept(attempt.name))

    async def _verify_password(self, attempt: Attempt) -> Verified:
        # The epoch from before the check: whatever moves it later voids what is remembered of this.
        name = attempt.name
        before = await self._credentials.find_person(name) if is_storable_name(name) else None
        principal = await self._passwords.by_password(
            name, attempt.secret, attempt.address, attempt.origin, forwarded=attempt.forwarded
        )
        is_known = before is not None and before.subject == principal.subject
        if before is None or not is_known or principal.must_change_password:
            return Verified(principal, None)
        return Verified(principal, before.epoch)

    def _note_use(self, principal: Principal) -> None:
        if principal.kind == "robot":
            self._uses.robot_used(principal.subject)
        elif principal.limits is not None:
            self._uses.token_used(principal.limits.credential)


def _limits(row: StoredSubject, credential: str) -> CredentialLimits | None:
    """Return what an access token leaves; of one that is gone, only which one it was."""
    if not credential:
        return None
    return CredentialLimits(credential) if row.credential is None else limits_of(credential, row.scopes)


def _obstacle(row: StoredSubject, credential: str, address: str, *, forwarded: bool) -> str:
    """Return why a subject may not go on, as a log tells it; empty when it may."""
    if row.disabled:
        return "disabled"
    if row.expired:
        return "expired"
    if not is_address_allowed(row.allowed_addresses, address, forwarded=forwarded):
        return "address not allowed"
    if credential and (row.credential is None or row.kind != "user"):
        return "the access token is gone"
    if credential and row.credential_expired:
        return "the access token expired"
    return ""
