"""Lock-out: after too many wrong passwords for one account from one address, that address has to wait.

The pair is what locks. From one address nobody keeps others from logging in elsewhere, not even the last administrator.
What a proxy on this machine passed on is counted apart from direct connections, so that an administrator at the machine
itself has a way in even when all clients come through that proxy. Elsewhere a peer is one place, whatever it says.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.auth.failures import CountedFailure, seconds_of
from entrepot.auth.forwarding import place_of_address
from entrepot.auth.people.errors import PasswordsBusyError
from entrepot.metadata.login_store import LockoutRule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.audit_actions import AuditAction
    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.login_watch import LoginWatch
    from entrepot.auth.principals import Principal
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.login_store import LoginFailureReader
    from entrepot.metadata.store import Metadata, Transaction

__all__ = [
    "BUSY",
    "LOCKED",
    "LockoutLimits",
    "PasswordRefusals",
    "Place",
    "count_failure",
    "legible",
    "place_of",
    "refusal",
    "require_open",
    "rule_of",
]

LOCKED: Final = "locked out"
"""The reason of whatever got no answer since its place is locked."""

BUSY: Final = "busy"
"""The reason of whatever was not checked since too many passwords waited already."""

_STATUSES: Final = {LOCKED: 429, BUSY: 503}
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class LockoutLimits:
    """The numbers of the rule."""

    attempts: int = 5
    window_seconds: int = 900
    lock_seconds: int = 900


@dataclass(frozen=True, slots=True)
class Place:
    """What failures are counted by."""

    account: str
    address: str


def place_of(account: str, address: str, *, forwarded: bool) -> Place:
    """Return the place of an attempt."""
    return Place(legible(account), place_of_address(address, forwarded=forwarded))


def legible(name: str) -> str:
    """Return a name that somebody typed as the database and a log can take it: nothing unseen, and not too long."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name[:_LONGEST]
    )


def rule_of(limits: LockoutLimits) -> LockoutRule:
    """Return the limits as the database counts."""
    return LockoutRule(limits.attempts, limits.window_seconds * 1000, limits.lock_seconds * 1000)


def refusal(milliseconds: int, cause: str) -> InvalidCredentialsError | LockedOutError:
    """Return what to raise for an attempt that failed: to wait, where there is a lock, and otherwise its cause."""
    if milliseconds > 0:
        return LockedOutError(seconds_of(milliseconds))
    return InvalidCredentialsError(cause)


async def require_open(failures: LoginFailureReader, place: Place, rule: LockoutRule) -> None:
    """Refuse a place that is locked.

    A lock that lasts longer than locks do was set by a clock that was ahead (F27): it is told as what
    `login_failures.shorten` makes of it.

    Raises:
        LockedOutError: it is, and for how much longer.
    """
    left = await failures.locked_milliseconds(place.account, place.address)
    if left > 0:
        longest = rule.lock_milliseconds
        raise LockedOutError(seconds_of(min(left, longest)), is_overlong=left > longest)


async def count_failure(tx: Transaction, place: Place, rule: LockoutRule) -> CountedFailure:
    """Count a wrong password.

    However many attempts are under way at once, no more than the limit are told whether they were right.
    """
    failures = await tx.login_failures.count(place.account, place.address, rule)
    if failures <= rule.attempts:
        return CountedFailure(0, locks=failures == rule.attempts)
    left = await tx.login_failures.locked_milliseconds(place.account, place.address)
    return CountedFailure(left, locks=False)


class PasswordRefusals:
    """What becomes of a password that is refused, wherever one is checked: a record, and a word to the watch.

    The unit that counts a failure is the one that records it (I11), as wrong or, where others were quicker, as late.
    What was not checked at all costs whoever asks nothing: it is noted as other refusals are.
    """

    def __init__(
        self,
        metadata: Metadata,
        notes: AuditNotes,
        limits: LockoutLimits,
        watch: LoginWatch,
        action: AuditAction,
        wrong_status: int = 401,
    ) -> None:
        """Take with which status a wrong password is answered, for its record."""
        self._metadata = metadata
        self._notes = notes
        self._rule = rule_of(limits)
        self._watch = watch
        self._action = action
        self._wrong_status = wrong_status

    def record(self, asker: Principal, reason: str) -> NewAuditRecord:
        """Return the record of a refusal."""
        about = AuditObject("user", legible(asker.name))
        status = _STATUSES.get(reason, self._wrong_status)
        return audit_record(asker, self._action, about, outcome="failure", reason=reason, status=status)

    async def require_open(self, asker: Principal, place: Place) -> None:
        """Refuse a place that is locked.

        Raises:
            LockedOutError: it is, and for how much longer; that is noted as well.
            AuditUnavailableError: it could not be noted.
        """
        try:
            await require_open(self._metadata.login_failures, place, self._rule)
        except LockedOutError as error:
            if error.is_overlong:
                await self._metadata.write(
                    lambda tx: tx.login_failures.shorten(place.account, place.address, self._rule)
                )
            await self.note(asker, LOCKED)
            raise

    @contextlib.asynccontextmanager
    async def noting_busy(self, asker: Principal) -> AsyncIterator[None]:
        """Check a password, and note that it was not checked when too many wait; that is no step to a lock."""
        try:
            yield
        except PasswordsBusyError:
            await self.note(asker, BUSY)
            raise

    async def note(self, asker: Principal, reason: str) -> None:
        """Note a refusal that brings nobody nearer to a lock.

        Raises:
            AuditUnavailableError: it could not be noted.
        """
        self._watch.refused(reason)
        await self._notes.note(self.record(asker, reason))

    async def count(
        self, asker: Principal, place: Place, cause: str, subject: str
    ) -> InvalidCredentialsError | LockedOutError:
        """Count a wrong password towards a lock, and return what to raise; `subject` is whose account it is."""
        wrong, late = self.record(asker, cause), self.record(asker, LOCKED)

        async def unit(tx: Transaction) -> CountedFailure:
            counted = await count_failure(tx, place, self._rule)
            await tx.audit.append(late if counted.left > 0 else wrong)
            return counted

        counted = await self._metadata.write(unit)
        self._watch.refused(LOCKED if counted.left > 0 else cause)
        if counted.locks:
            self._watch.locked_out(subject, asker.address, forwarded=asker.forwarded)
        return refusal(counted.left, cause)
