"""The lock-out of people, for robots and access tokens as well: one table, one rule, whatever was presented."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.people.lockout import count_failure, place_of, require_open, rule_of

if TYPE_CHECKING:
    from entrepot.auth.failures import CountedFailure
    from entrepot.auth.people.lockout import LockoutLimits
    from entrepot.metadata.login_store import LoginFailureReader
    from entrepot.metadata.store import Transaction

__all__ = ["LoginFailures"]


class LoginFailures:
    """Implements :class:`entrepot.auth.failures.FailureCounter`."""

    def __init__(self, failures: LoginFailureReader, limits: LockoutLimits) -> None:
        self._failures = failures
        self._rule = rule_of(limits)

    async def require_unlocked(self, account: str, address: str, *, forwarded: bool) -> None:
        """See the protocol.

        Raises:
            LockedOutError: too many failures for this account came from this address.
        """
        await require_open(self._failures, place_of(account, address, forwarded=forwarded), self._rule)

    async def shorten(self, transaction: Transaction, account: str, address: str, *, forwarded: bool) -> None:
        """See the protocol."""
        place = place_of(account, address, forwarded=forwarded)
        await transaction.login_failures.shorten(place.account, place.address, self._rule)

    async def record_failure(
        self, transaction: Transaction, account: str, address: str, *, forwarded: bool
    ) -> CountedFailure:
        """See the protocol."""
        return await count_failure(transaction, place_of(account, address, forwarded=forwarded), self._rule)

    async def clear(self, transaction: Transaction, account: str, address: str, *, forwarded: bool) -> None:
        """See the protocol."""
        place = place_of(account, address, forwarded=forwarded)
        await transaction.login_failures.forget(place.account, place.address)

    async def locked_meanwhile(
        self, transaction: Transaction, account: str, address: str, *, forwarded: bool
    ) -> int:
        """See the protocol."""
        place = place_of(account, address, forwarded=forwarded)
        return await transaction.login_failures.locked_milliseconds(place.account, place.address)
