"""What must be found of people, robots and the audit log in a data directory that was frozen with accounts.

All names and secrets are material of tests; they lie readable beside the frozen directory, since whoever opens it has
to present them.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from tests.running.control_client import Account

__all__ = ["APPLICATION", "Accounts", "Holder", "Json", "Record"]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

APPLICATION: Final = "team/app"
"""The repository that all of it is about; it belongs to a private project."""


class Holder(msgspec.Struct, frozen=True):
    """Somebody with their name and secret, and which of `pull`, `push` and `delete` they may in the application."""

    account: Account
    may: tuple[str, ...]


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A row of the audit log; `sequence` is its place in the chain, 0 as long as it has none."""

    id: int
    record_id: str
    sequence: int
    user: str
    action: str
    outcome: str
    about: str


class Accounts(msgspec.Struct):
    """Who there is, what they may, and what was set and recorded."""

    administrator: Account
    holders: list[Holder] = msgspec.field(default_factory=list[Holder])
    kept_out: list[Account] = msgspec.field(default_factory=list[Account])
    """Names with secrets that nobody is let in with, though most were good once."""
    readers_of_the_log: list[Account] = msgspec.field(default_factory=list[Account])
    refresh_token: str = ""
    """Of the person `developer`."""
    documents: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    """What the management API answers the administrator, by path; it may say more by now, but not less or other."""
    records: list[Record] = msgspec.field(default_factory=list[Record])
    signed: int = 0
    """Up to which place in the chain the last checkpoint signs it."""
    public_key: str = ""
    """Of the key that signed it, in PEM."""
    noted: list[tuple[str, str]] = msgspec.field(default_factory=list[tuple[str, str]])
    """Who did what that lay in a file of the node and not in the database when it was killed."""

    def named(self, name: str) -> Account:
        """Return the account of a holder by name: that with the password, of a person with access tokens."""
        return next(holder.account for holder in self.holders if holder.account.name == name)
