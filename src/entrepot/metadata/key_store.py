"""The protocols of signing keys: rows that every node reads every few seconds, and that change a few times a year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "KeyPurpose",
    "KeyState",
    "NewSigningKey",
    "SigningKeyReader",
    "SigningKeyRow",
    "SigningKeyRows",
    "SigningKeyTable",
]

KeyPurpose = Literal["token", "audit"]
KeyState = Literal["next", "active", "retired", "revoked"]


@dataclass(frozen=True, slots=True)
class NewSigningKey:
    """A key pair as it is stored.

    Attributes:
        public_key: DER, SubjectPublicKeyInfo.
        private_key_sealed: sealed with the master key that `master_key_id` names.
    """

    key_id: str
    purpose: KeyPurpose
    algorithm: str
    public_key: bytes
    private_key_sealed: bytes
    master_key_id: str


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """A key pair that is stored; times are milliseconds since 1970 by the database's clock."""

    key_id: str
    purpose: KeyPurpose
    algorithm: str
    public_key: bytes
    private_key_sealed: bytes
    master_key_id: str
    state: KeyState
    created_at: int
    activated_at: int | None
    retired_at: int | None


@dataclass(frozen=True, slots=True)
class SigningKeyTable:
    """All keys of a purpose, the oldest first, and what the database's clock said when they were read."""

    now: int
    rows: Sequence[SigningKeyRow]

    @property
    def ahead_milliseconds(self) -> int:
        """How far ahead of the database's clock the latest time of a key is; 0 where none is."""
        times = [
            time for row in self.rows for time in (row.created_at, row.activated_at, row.retired_at) if time
        ]
        return max((time - self.now for time in times if time > self.now), default=0)

    def in_state(self, state: KeyState) -> SigningKeyRow | None:
        """Return the last key that is in a state; of `next` and `active` there is never more than one."""
        return next((row for row in reversed(self.rows) if row.state == state), None)


class SigningKeyReader(Protocol):
    """Signing keys, in one statement."""

    async def read(self, purpose: KeyPurpose) -> SigningKeyTable:
        """Return all keys of a purpose."""
        ...


class SigningKeyRows(Protocol):
    """Signing keys within a unit."""

    async def hold(self, purpose: KeyPurpose) -> SigningKeyTable:
        """Return all keys of a purpose; they stay as they are until the unit ends."""
        ...

    async def add(self, key: NewSigningKey, state: KeyState) -> bool:
        """Add a key as `next` or `active`, unless the purpose has one in that state; tell whether it was added."""
        ...

    async def set_state(self, key_id: str, state: KeyState) -> None:
        """Move a key on; notes when it was activated or retired."""

    async def rewrap(self, key_id: str, private_key_sealed: bytes, master_key_id: str) -> None:
        """Replace what a private key is sealed with."""

    async def clamp(self, purpose: KeyPurpose) -> int:
        """Let times of keys that are later than now be now; return how many keys have some."""
        ...

    async def delete_retired(self, purpose: KeyPurpose, kept_milliseconds: int) -> int:
        """Remove the keys that were retired longer ago than that; return how many."""
        ...
