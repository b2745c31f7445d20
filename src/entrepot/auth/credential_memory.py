"""Remembers for a minute that a name and a secret were right, so that a pull of many layers costs one slow hash.

Secrets are not kept: an entry is found by an HMAC under a key that is made at start and never leaves the process.
Failures are never remembered.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from entrepot.auth.principals import Principal

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.auth.epochs import Epochs

__all__ = ["CredentialMemory", "ForgetsCredentials", "Verified"]

_LENGTH_BYTES: Final = 4
_KEY_BYTES: Final = 32


class Verified(msgspec.Struct, frozen=True, gc=False):
    """Somebody whose credential was right. It is remembered while neither they nor who answers for them changed.

    Attributes:
        epoch: of the subject, as it was read before the credential was checked; `None` for what is not remembered.
        seconds_left: until the credential expires; `None` for never.
    """

    principal: Principal
    epoch: int | None
    seconds_left: float | None = None


class _Entry(msgspec.Struct, frozen=True):
    """What is remembered, and until when by this process's own clock."""

    verified: Verified
    until: float


class ForgetsCredentials(Protocol):
    """What whoever takes something from a subject tells, for it to hold in this process at once (S14)."""

    def forget(self, subject: str) -> None:
        """Remember nothing of a subject (public id) any more."""


class CredentialMemory:
    """Bounded, dropped by time, by epoch and by being told. Belongs to one event loop."""

    def __init__(
        self,
        epochs: Epochs,
        *,
        seconds: float = 60.0,
        capacity: int = 10_000,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._epochs = epochs
        self._seconds = seconds
        self._capacity = capacity
        self._clock = clock
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._forgotten = 0

    def key(self, name: str, secret: str, address: str, *, forwarded: bool) -> bytes:
        """Return under which key an attempt is remembered; parts can't be shifted from one to another."""
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (name, secret, address, "forwarded" if forwarded else ""):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(_LENGTH_BYTES, "big"))
            digest.update(encoded)
        return digest.digest()

    def find(self, key: bytes) -> Verified | None:
        """Return what is remembered and still holds.

        Raises:
            MetadataUnavailableError: nothing can be vouched for, as the database was not heard of (I6).
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._epochs.require_fresh()
        if self._clock() >= entry.until or not self._is_current(entry.verified):
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry.verified

    def moment(self) -> int:
        """Return a number to hand to `remember`, from before the credential is looked up."""
        return self._forgotten

    def remember(self, key: bytes, verified: Verified, moment: int) -> None:
        """Remember, unless somebody was forgotten meanwhile: what was looked up may be from before that."""
        if moment != self._forgotten or verified.epoch is None or not self._is_current(verified):
            return
        left = self._seconds if verified.seconds_left is None else min(self._seconds, verified.seconds_left)
        self._entries[key] = _Entry(verified, self._clock() + left)
        self._entries.move_to_end(key)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def forget(self, subject: str) -> None:
        """Remember nothing of a subject (public id) any more."""
        self._forgotten += 1
        gone = [key for key, entry in self._entries.items() if entry.verified.principal.subject == subject]
        for key in gone:
            del self._entries[key]

    def __len__(self) -> int:
        """Return how many credentials are remembered."""
        return len(self._entries)

    def _is_current(self, verified: Verified) -> bool:
        if verified.epoch is None:
            return False
        principal = verified.principal
        if not self._epochs.is_current(principal.subject, verified.epoch, {}):
            return False
        sponsor = principal.sponsor
        return sponsor is None or self._epochs.is_current(sponsor.person, sponsor.epoch, {})
