"""Tells operators of refused logins: a count by reason, and one event for each pair of account and address that locks.

The audit log has every attempt with its name and reason; this is for those who watch a log and metrics. Neither shows a
name that somebody typed, since people type their password there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NOBODY", "LoginWatch"]

_log: Any = structlog.get_logger()

NOBODY: Final = "nobody"
"""In the place of a public id: no person and no robot has the name."""

_OTHER: Final = "other"
_REASONS: Final = {
    "wrong password": "wrong_secret",
    "no password": "wrong_secret",
    "changed meanwhile": "wrong_secret",
    "a secret of another kind": "wrong_secret",
    "wrong secret": "wrong_secret",
    "access token of somebody else": "wrong_secret",
    "unknown": "unknown_name",
    "unknown robot": "unknown_name",
    "unknown access token": "unknown_token",
    "locked out": "locked_out",
    "expired": "expired",
    "disabled": "disabled",
    "address not allowed": "address_not_allowed",
    "busy": "busy",
}
"""What the audit log calls a reason, and its label: few, since each is a series of its own."""


class LoginWatch:
    """Belongs to one process; may be shared by whatever lets people and robots in."""

    def __init__(self, count: Callable[[str], object] = str) -> None:
        """Take what counts a refusal by its label; by default nobody counts."""
        self._count = count

    def refused(self, cause: str) -> None:
        """Count an attempt that was refused, by what its record says."""
        self._count(_REASONS.get(cause, _OTHER))

    def locked_out(self, subject: str, address: str, *, forwarded: bool) -> None:
        """Say that a pair is locked from now on: the account by its public id, or as :data:`NOBODY`."""
        _log.warning("login.locked_out", subject=subject, address=address, forwarded=forwarded)
