"""Passwords that are chosen anew: by their owner, who shows the old one, or by an administrator, for one login."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.auth.forwarding import place_of_address
from entrepot.auth.generated_secrets import is_unguessable
from entrepot.auth.login_watch import LoginWatch
from entrepot.auth.people.errors import OldPasswordWrongError, PasswordRejectedError, PersonUnknownError
from entrepot.auth.people.lockout import PasswordRefusals, place_of
from entrepot.auth.people.people import require_person
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.grants import OwnPasswordGrant, SystemGrant
    from entrepot.auth.people.lockout import LockoutLimits
    from entrepot.auth.people.password_policy import PasswordPolicy
    from entrepot.auth.people.passwords import PasswordHashing
    from entrepot.auth.principals import Principal
    from entrepot.auth.rights_of_others import RightsOfOthers
    from entrepot.auth.system_actions import UpdateUser
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.metadata.user_store import CredentialsRow, EndedCredentials, PersonRow

__all__ = ["PasswordChanges", "PasswordReset"]

_WRONG: Final = "wrong password"
_CHANGED: Final = "changed meanwhile"
_ANOTHER_KIND: Final = "a secret of another kind"
_FORBIDDEN: Final = 403
"""What a wrong old password is answered with: see :class:`OldPasswordWrongError`."""


@dataclass(frozen=True, slots=True)
class PasswordReset:
    """Whose password was reset, and what ended with the old one."""

    subject: str
    ended: EndedCredentials


class PasswordChanges:
    """The service. A changed password ends the person's sessions and whatever was issued for the old one (S14).

    Access tokens outlive a change by the person, who sees them, and not a reset: whoever had the old password may have
    made one, and nobody who resets it can tell which.
    """

    def __init__(
        self,
        metadata: Metadata,
        notes: AuditNotes,
        hashing: PasswordHashing,
        policy: PasswordPolicy,
        lockout: LockoutLimits,
        rights: RightsOfOthers,
        watch: LoginWatch | None = None,
    ) -> None:
        self._metadata = metadata
        self._rights = rights
        self._hashing = hashing
        self._policy = policy
        self._refusals = PasswordRefusals(
            metadata, notes, lockout, watch or LoginWatch(), AuditAction.USER_PASSWORD_CHANGE, _FORBIDDEN
        )

    async def change_own(self, grant: OwnPasswordGrant, old: str, new: str) -> EndedCredentials:
        """Change one's own password and return what ended with it.

        Wrong old ones count as failed logins do, so no stolen session can guess; what was made here is no guess.

        Raises:
            OldPasswordWrongError: the old one is wrong, or is not the present one any more.
            InvalidCredentialsError: there is none to change.
            LockedOutError: too many wrong ones came from this address.
            PasswordRejectedError: the new one is not accepted.
        """
        principal = grant.principal
        place = place_of(principal.name, principal.address, forwarded=principal.forwarded)
        await self._refusals.require_open(principal, place)
        if is_unguessable(old):
            await self._refusals.note(principal, _ANOTHER_KIND)
            raise OldPasswordWrongError
        found = await self._credentials_of(principal)
        old_hash = found.password_hash or ""
        async with self._refusals.noting_busy(principal):
            matches = await self._hashing.verify(found.password_hash, old, place=place.address)
        if not matches:
            refused = await self._refusals.count(principal, place, _WRONG, principal.subject)
            raise refused if isinstance(refused, LockedOutError) else OldPasswordWrongError
        async with self._refusals.noting_busy(principal):
            await self._require_acceptable(found.person, new, place.address)
            new_hash = await self._hashing.hash(new, place=place.address)
        record = audit_record(
            principal, AuditAction.USER_PASSWORD_CHANGE, AuditObject("user", found.person.name)
        )

        changed = self._refusals.record(principal, _CHANGED)

        async def unit(tx: Transaction) -> EndedCredentials | None:
            if not await tx.users.password_is(found.person.id, old_hash):
                await tx.audit.append(changed)
                return None
            await self._set(tx, found.person, new_hash, must_change=False)
            await tx.audit.append(record)
            return await tx.users.end_logins(found.person.id)

        ended = await self._metadata.write(unit)
        if ended is None:
            raise OldPasswordWrongError
        return ended

    async def reset(self, grant: SystemGrant[UpdateUser], person_id: int, new: str) -> PasswordReset:
        """Give somebody a password that they must change at their next login, and delete what else lets them in.

        Whoever knows somebody's password has their rights.

        Raises:
            PersonUnknownError, PasswordRejectedError: nothing was changed.
            AccessDeniedError: the person holds what the principal does not (S9).
        """
        await self._rights.require_held(grant.principal, person_id)
        person = await self._metadata.users.find(person_id)
        if person is None:
            raise PersonUnknownError(person_id)
        place = place_of_address(grant.principal.address, forwarded=grant.principal.forwarded)
        await self._require_acceptable(person, new, place)
        new_hash, record_id = await self._hashing.hash(new, place=place), new_public_id()

        async def unit(tx: Transaction) -> PasswordReset:
            found = await require_person(tx, person_id)
            ended = await tx.users.end_credentials(found.id)
            await self._set(tx, found, new_hash, must_change=True)
            await tx.login_failures.unlock(found.name)
            about = AuditObject("user", found.name)
            after = {"must_change_password": True, "ended": asdict(ended)}
            await tx.audit.append(
                audit_record(
                    grant.principal, AuditAction.USER_PASSWORD_RESET, about, after=after, record_id=record_id
                )
            )
            return PasswordReset(found.subject, ended)

        return await self._metadata.write(unit)

    async def _set(self, tx: Transaction, person: PersonRow, new_hash: str, *, must_change: bool) -> None:
        kept = self._policy.limits.history + 1
        await tx.users.set_password(person.id, new_hash, must_change=must_change, kept=kept)
        await tx.users.move_epoch(person.id)

    async def _credentials_of(self, principal: Principal) -> CredentialsRow:
        person = await self._metadata.users.find_subject(principal.subject)
        found = None if person is None else await self._metadata.users.credentials(person.id)
        if found is None:
            raise InvalidCredentialsError("no person")
        return found

    async def _require_acceptable(self, person: PersonRow, new: str, place: str) -> None:
        reasons = self._policy.reasons_against(new, person.names)
        former = max(self._policy.limits.history, 1)  # the present one is never a new one
        if not reasons:
            hashes = await self._metadata.users.password_history(person.id, former)
            if await self._hashing.matches_any(hashes, new, place=place):
                reasons = (f"it is among the last {former} that this person had",)
        if reasons:
            raise PasswordRejectedError(reasons)
