"""The protocol of the lock-out: failures are counted by account and address together, for every kind of credential.

Nobody locks out somebody else from afar, and a robot whose secret somebody guesses at goes on from where it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from entrepot.metadata.store import Transaction

__all__ = ["CountedFailure", "FailureCounter", "seconds_of"]


@dataclass(frozen=True, slots=True)
class CountedFailure:
    """What became of a wrong secret.

    Attributes:
        left: for how many milliseconds this one gets no answer, 0 when it gets one.
        locks: whether it is the one that locks the place; each lock has one.
    """

    left: int
    locks: bool


def seconds_of(milliseconds: int) -> int:
    """Return whole seconds, rounded up: whoever waits as long is not too early."""
    return -(-milliseconds // 1000)


class FailureCounter(Protocol):
    """Counts in the database, so that all entrances of all nodes count together (T15).

    An account is whatever was presented as a name, at most 255 printable characters of it.
    """

    async def require_unlocked(self, account: str, address: str, *, forwarded: bool) -> None:
        """Let somebody try. One read.

        Raises:
            LockedOutError: too many failures for this account came from this address.
        """

    async def shorten(self, transaction: Transaction, account: str, address: str, *, forwarded: bool) -> None:
        """Have a lock that a clock which was ahead set end when one that begins now would (F27)."""

    async def record_failure(
        self, transaction: Transaction, account: str, address: str, *, forwarded: bool
    ) -> CountedFailure:
        """Count one more, in the unit that records it for the audit log.

        However many attempts are under way at once, no more than the limit are told whether they were right.
        """
        ...

    async def clear(self, transaction: Transaction, account: str, address: str, *, forwarded: bool) -> None:
        """Forget what was counted, unless it locks: the right secret was presented."""
        ...

    async def locked_meanwhile(
        self, transaction: Transaction, account: str, address: str, *, forwarded: bool
    ) -> int:
        """For how many milliseconds the place is locked, as too many others failed while one was checked; else 0."""
        ...
