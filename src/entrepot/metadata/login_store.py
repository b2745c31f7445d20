"""The protocol of failed logins, counted by account and address together and by the database's clock (F27)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["LockoutRule", "LoginFailureReader", "LoginFailureRows"]


@dataclass(frozen=True, slots=True)
class LockoutRule:
    """When further attempts are refused, and for how long.

    Attributes:
        attempts: wrong ones within the window, of which the last one locks.
    """

    attempts: int
    window_milliseconds: int
    lock_milliseconds: int


class LoginFailureReader(Protocol):
    """What locks exist. Each call is one statement."""

    async def locked_milliseconds(self, account: str, address: str) -> int:
        """Return how much longer attempts are refused, 0 when they are not."""
        ...


class LoginFailureRows(Protocol):
    """Failed logins within a unit."""

    async def locked_milliseconds(self, account: str, address: str) -> int:
        """Return how much longer attempts are refused, 0 when they are not."""
        ...

    async def count(self, account: str, address: str, rule: LockoutRule) -> int:
        """Count a failure and return how many there are; the one that reaches the limit locks.

        Others who count for the same place wait until the unit ends, so that each gets a number of its own: whoever
        gets one beyond the limit came too late for an answer. Some rows that are over are removed as well.
        """
        ...

    async def shorten(self, account: str, address: str, rule: LockoutRule) -> None:
        """Have a lock that ends later than one that begins now end then: the clock was ahead when it was set."""

    async def forget(self, account: str, address: str) -> None:
        """Remove the count, unless it locks at present."""

    async def unlock(self, account: str) -> int:
        """Remove all counts and locks of an account; return how many addresses had one."""
        ...
