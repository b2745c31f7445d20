"""Lock-out: after too many wrong passwords for one account from one address, that address has to wait.

The pair is what locks. From one address nobody keeps others from logging in elsewhere, not even the last administrator.
What a proxy on this machine passed on is counted apart from direct connections, so that an administrator at the machine
itself has a way in even when all clients come through that proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.metadata.login_store import LockoutRule

if TYPE_CHECKING:
    from entrepot.metadata.login_store import LoginFailureReader
    from entrepot.metadata.store import Transaction

__all__ = [
    "CountedFailure",
    "LockoutLimits",
    "Place",
    "count_failure",
    "legible",
    "place_of",
    "refusal",
    "require_open",
    "rule_of",
    "seconds_of",
]

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


@dataclass(frozen=True, slots=True)
class CountedFailure:
    """What became of a wrong password.

    Attributes:
        left: for how many milliseconds this one gets no answer, 0 when it gets one.
        locks: whether it is the one that locks the place; each lock has one.
    """

    left: int
    locks: bool


def place_of(account: str, address: str, *, forwarded: bool) -> Place:
    """Return the place of an attempt."""
    return Place(legible(account), f"{address} forwarded" if forwarded else address)


def legible(name: str) -> str:
    """Return a name that somebody typed as the database and a log can take it: nothing unseen, and not too long."""
    shown = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name
    )
    return shown[:_LONGEST]


def rule_of(limits: LockoutLimits) -> LockoutRule:
    """Return the limits as the database counts."""
    return LockoutRule(limits.attempts, limits.window_seconds * 1000, limits.lock_seconds * 1000)


def seconds_of(milliseconds: int) -> int:
    """Return whole seconds, rounded up: whoever waits as long is not too early."""
    return -(-milliseconds // 1000)


def refusal(milliseconds: int, cause: str) -> InvalidCredentialsError | LockedOutError:
    """Return what to raise for an attempt that failed: to wait, where there is a lock, and otherwise its cause."""
    if milliseconds > 0:
        return LockedOutError(seconds_of(milliseconds))
    return InvalidCredentialsError(cause)


async def require_open(failures: LoginFailureReader, place: Place) -> None:
    """Refuse a place that is locked.

    Raises:
        LockedOutError: it is, and for how much longer.
    """
    left = await failures.locked_milliseconds(place.account, place.address)
    if left > 0:
        raise LockedOutError(seconds_of(left))


async def count_failure(tx: Transaction, place: Place, rule: LockoutRule) -> CountedFailure:
    """Count a wrong password.

    However many attempts are under way at once, no more than the limit are told whether they were right.
    """
    failures = await tx.login_failures.count(place.account, place.address, rule)
    if failures <= rule.attempts:
        return CountedFailure(0, locks=failures == rule.attempts)
    left = await tx.login_failures.locked_milliseconds(place.account, place.address)
    return CountedFailure(left, locks=False)
