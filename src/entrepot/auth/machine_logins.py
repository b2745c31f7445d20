"""Logins by what no person types: the attempt, and the record and the count that each one leaves.

The unit that counts a failure is the one that records it (I11). What costs whoever asks nothing is noted, as other
refusals are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.auth.failures import seconds_of
from entrepot.auth.login_watch import NOBODY
from entrepot.auth.principals import ANONYMOUS, Origin, Principal

if TYPE_CHECKING:
    from typing import NoReturn

    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.failures import CountedFailure, FailureCounter
    from entrepot.auth.login_watch import LoginWatch
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["Attempt", "LoginBook", "in_seconds", "is_storable_name"]

_MOST_NAME_CHARACTERS: Final = 255
_MILLISECONDS: Final = 1000
_SUCCESS: Final = 200
_FAILURE: Final = 401
_LOCKED: Final = 429
_NOT_CHECKED: Final = 503
_BUSY: Final = "busy"
_LOCKED_OUT: Final = "locked out"


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """What somebody presented, and from where. Formatting it shows neither secret nor what was typed as a name (S27).

    Attributes:
        kept_name: what is counted and recorded in place of the name; the name itself where it is empty.
    """

    name: str
    secret: str
    address: str
    origin: Origin
    forwarded: bool
    kept_name: str = ""

    def __repr__(self) -> str:
        return f"Attempt(from {self.address!r})"

    @property
    def account(self) -> str:
        """The name as the database and a log can take it."""
        if self.kept_name:
            return self.kept_name
        kept = self.name[:_MOST_NAME_CHARACTERS]
        return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in kept)

    def unknown(self) -> Principal:
        """Return the principal of a failure: nobody, by the name that was presented."""
        return Principal(ANONYMOUS, self.address, self.forwarded, name=self.account, origin=self.origin)


class LoginBook:
    """Counts and records what becomes of attempts."""

    def __init__(
        self, metadata: Metadata, notes: AuditNotes, failures: FailureCounter, watch: LoginWatch
    ) -> None:
        self._metadata = metadata
        self._notes = notes
        self._failures = failures
        self._watch = watch

    async def require_unlocked(self, attempt: Attempt, kind: str) -> None:
        """Let an attempt go on.

        Raises:
            LockedOutError: too many failed before; that is noted as well.
            AuditUnavailableError: it could not be noted.
        """
        account, address, forwarded = attempt.account, attempt.address, attempt.forwarded
        try:
            await self._failures.require_unlocked(account, address, forwarded=forwarded)
        except LockedOutError as error:
            if error.is_overlong:
                await self._metadata.write(
                    lambda tx: self._failures.shorten(tx, account, address, forwarded=forwarded)
                )
            await self._note(attempt, kind, _LOCKED_OUT, _LOCKED)
            raise

    async def note_busy(self, attempt: Attempt, kind: str) -> None:
        """Note that a secret was not checked since too many wait; it brings nobody nearer to a lock.

        Raises:
            AuditUnavailableError: it could not be noted.
        """
        await self._note(attempt, kind, _BUSY, _NOT_CHECKED)

    async def refuse(
        self, attempt: Attempt, kind: str, cause: str, subject: str = NOBODY, whose: Principal | None = None
    ) -> NoReturn:
        """Count and record a failure; `subject` is whose account it is, by its public id.

        Who acts in the record is `whose`, if the secret is right and yet opens nothing.

        Raises:
            InvalidCredentialsError: always, but for:
            LockedOutError: others failed meanwhile, and were too many for this one to be told anything.
        """
        record, late = _failure(attempt, kind, cause, _FAILURE, whose), _late(attempt, kind)

        async def unit(tx: Transaction) -> CountedFailure:
            counted = await self._failures.record_failure(
                tx, attempt.account, attempt.address, forwarded=attempt.forwarded
            )
            await tx.audit.append(late if counted.left > 0 else record)
            return counted

        counted = await self._metadata.write(unit)
        if counted.left > 0:
            self._refuse_late(counted.left)
        self._watch.refused(cause)
        if counted.locks:
            self._watch.locked_out(subject, attempt.address, forwarded=attempt.forwarded)
        raise InvalidCredentialsError(cause, whose)

    async def refuse_uncounted(
        self, attempt: Attempt, kind: str, cause: str, whose: Principal | None = None
    ) -> NoReturn:
        """Note the failure of a secret that is no guess at anything; it brings nobody nearer to a lock.

        Whom the secret belongs to is who acts in the record, whatever name came with it.

        Raises:
            InvalidCredentialsError: always, but for:
            AuditUnavailableError: it could not be noted.
        """
        await self._note(attempt, kind, cause, _FAILURE, whose)
        raise InvalidCredentialsError(cause, whose)

    async def _note(
        self, attempt: Attempt, kind: str, cause: str, status: int, whose: Principal | None = None
    ) -> None:
        self._watch.refused(cause)
        await self._notes.note(_failure(attempt, kind, cause, status, whose))

    async def admit(self, attempt: Attempt, kind: str, principal: Principal, *, may_be_guessed: bool) -> None:
        """Record a success, and forget the failures before it.

        Args:
            may_be_guessed: whether the secret may be one that was guessed: then it waits for a lock as wrong ones do.

        Raises:
            LockedOutError: others failed while this one was checked, and were too many for it to be told anything.
        """
        record, late = _success(principal), _late(attempt, kind)

        async def unit(tx: Transaction) -> int:
            who, forwarded = (attempt.account, attempt.address), attempt.forwarded
            await self._failures.clear(tx, *who, forwarded=forwarded)
            left = 0
            if may_be_guessed:
                left = await self._failures.locked_meanwhile(tx, *who, forwarded=forwarded)
            await tx.audit.append(late if left > 0 else record)
            return left

        left = await self._metadata.write(unit)
        if left > 0:
            self._refuse_late(left)

    def _refuse_late(self, left: int) -> NoReturn:
        """Refuse what was checked, and found right or wrong, after the place was locked; which, nobody is told."""
        self._watch.refused(_LOCKED_OUT)
        raise LockedOutError(seconds_of(left))

    async def admit_uncounted(self, principal: Principal) -> None:
        """Record the success of a secret that says nothing of the one that is guessed at: what was counted stays."""
        record = _success(principal)
        await self._metadata.write(lambda tx: tx.audit.append(record))


def _success(principal: Principal) -> NewAuditRecord:
    about = AuditObject(principal.kind, principal.name)
    return audit_record(principal, AuditAction.LOGIN, about, status=_SUCCESS)


def _failure(
    attempt: Attempt, kind: str, cause: str, status: int, whose: Principal | None = None
) -> NewAuditRecord:
    about = AuditObject(kind, attempt.account)
    return audit_record(
        whose or attempt.unknown(), AuditAction.LOGIN, about, outcome="failure", reason=cause, status=status
    )


def _late(attempt: Attempt, kind: str) -> NewAuditRecord:
    return _failure(attempt, kind, _LOCKED_OUT, _LOCKED)


def is_storable_name(name: str) -> bool:
    """Whether anybody can have a name, so that it is worth looking up."""
    return 0 < len(name) <= _MOST_NAME_CHARACTERS and name.isprintable()


def in_seconds(milliseconds: int | None) -> float | None:
    """Return a time of the database in seconds; `None`, which is never, stays."""
    return None if milliseconds is None else milliseconds / _MILLISECONDS
