"""People who present their password, at whichever entrance: the one way in which a password is ever checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.generated_secrets import is_unguessable
from entrepot.auth.login_watch import NOBODY, LoginWatch
from entrepot.auth.people.lockout import LOCKED, PasswordRefusals, place_of, refusal
from entrepot.auth.principals import ANONYMOUS, Principal

if TYPE_CHECKING:
    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.authentication import BeginningSession
    from entrepot.auth.people.lockout import LockoutLimits, Place
    from entrepot.auth.people.password_policy import PasswordPolicy
    from entrepot.auth.people.passwords import PasswordHashing
    from entrepot.auth.principals import Origin
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.metadata.user_store import CredentialsRow

__all__ = ["PasswordLogins"]

_Outcome = Literal["success", "wrong password", "unknown", "disabled", "no password"]
_CHANGED: Final = "changed meanwhile"
_ANOTHER_KIND: Final = "a secret of another kind"


class PasswordLogins:
    """Implements :class:`entrepot.auth.authentication.PasswordLogin` for the people on this registry's own list."""

    def __init__(
        self,
        metadata: Metadata,
        notes: AuditNotes,
        hashing: PasswordHashing,
        policy: PasswordPolicy,
        lockout: LockoutLimits,
        watch: LoginWatch | None = None,
        wrong_status: int = 401,
    ) -> None:
        """Take, with the parts, the status with which a wrong password is answered, for its record."""
        self._metadata = metadata
        self._hashing = hashing
        self._policy = policy
        self._watch = watch or LoginWatch()
        self._refusals = PasswordRefusals(
            metadata, notes, lockout, self._watch, AuditAction.LOGIN, wrong_status
        )

    async def by_password(
        self,
        name: str,
        password: str,
        address: str,
        origin: Origin,
        *,
        forwarded: bool,
        session: BeginningSession | None = None,
    ) -> Principal:
        """See the protocol. What has the form of a secret made here is nobody's password: not hashed, and not counted.

        Raises:
            InvalidCredentialsError, LockedOutError: as the protocol says.
            PasswordsBusyError: too many passwords are being checked.
            MetadataUnavailableError: nobody can be let in.
        """
        place = place_of(name, address, forwarded=forwarded)
        unknown = Principal(ANONYMOUS, address, forwarded, name=place.account, origin=origin)
        await self._refusals.require_open(unknown, place)
        if is_unguessable(password):
            await self._refusals.note(unknown, _ANOTHER_KIND)
            raise InvalidCredentialsError(_ANOTHER_KIND)
        found = await self._metadata.users.credentials_named(name) if name == place.account else None
        stored = found.password_hash if found else None
        async with self._refusals.noting_busy(unknown):
            matches = await self._hashing.verify(stored, password, place=place.address)
        outcome = _outcome(found, matches=matches)
        if found is None or outcome != "success":
            subject = NOBODY if found is None else found.person.subject
            asker = unknown if found is None or not matches else self._principal(found, unknown)
            raise await self._refusals.count(asker, place, outcome, subject)
        return await self._admit(found, place, unknown, password, session)

    async def _admit(
        self,
        found: CredentialsRow,
        place: Place,
        unknown: Principal,
        password: str,
        session: BeginningSession | None,
    ) -> Principal:
        person, old_hash = found.person, found.password_hash or ""
        principal = self._principal(found, unknown)
        new_hash = old_hash
        if self._hashing.is_outdated(old_hash):
            async with self._refusals.noting_busy(unknown):
                new_hash = await self._hashing.hash(password, place=place.address)
        welcome = audit_record(
            principal,
            AuditAction.LOGIN,
            AuditObject("user", person.name),
            status=200,
            after=None if session is None else {"session": session.public_id},
        )
        late = self._refusals.record(unknown, LOCKED)
        vanished = self._refusals.record(unknown, _CHANGED)

        async def unit(tx: Transaction) -> int | None:
            # Other attempts may have failed while this one was checked: however many are under way at once, no more
            # than the limit get an answer.
            await tx.login_failures.forget(place.account, place.address)
            left = await tx.login_failures.locked_milliseconds(place.account, place.address)
            if left > 0:
                await tx.audit.append(late)
                return left
            if not await tx.users.note_login(person.id, old_hash):
                await tx.audit.append(vanished)
                return None
            if new_hash != old_hash:
                await tx.users.renew_hash(person.id, old_hash, new_hash)
            if session is not None:
                await session.begin(tx, person.id, person.epoch)
            await tx.audit.append(welcome)
            return 0

        left = await self._metadata.write(unit)
        if left == 0:
            return principal
        self._watch.refused(LOCKED if left else _CHANGED)
        raise refusal(left or 0, _CHANGED)

    def _principal(self, found: CredentialsRow, unknown: Principal) -> Principal:
        """Return who is known by the right password, as asking from where the unknown one does."""
        person = found.person
        return Principal(
            person.subject,
            unknown.address,
            unknown.forwarded,
            name=person.name,
            kind="user",
            origin=unknown.origin,
            must_change_password=person.must_change_password
            or self._policy.is_too_old(found.password_age_milliseconds),
            epoch=person.epoch,
        )


def _outcome(found: CredentialsRow | None, *, matches: bool) -> _Outcome:
    if found is None:
        return "unknown"
    if found.password_hash is None:
        return "no password"
    if not matches:
        return "wrong password"
    return "success" if found.person.disabled_at is None else "disabled"
