"""The keys of one purpose in memory, asked for each token without any input or output."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from entrepot.auth.keys.errors import SigningKeyUnavailableError
from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrepot.auth.keys.key_pairs import SigningKey, VerificationKey

__all__ = ["KeyRing"]

_TRUSTED_SECONDS: Final = 60.0
_SET_BACK_SECONDS: Final = 5.0
"""More than what is between two clocks that are right; less, added up, counts as well."""
_NO_KEY: Final = "there is no active signing key; `entrepot keys list` shows what there is"


class KeyRing:
    """What the last look at the database found; belongs to one event loop.

    Fails closed (I6): 60 s after the last look nobody knows which key was revoked since. It also knows the database's
    time, so that nodes whose own clocks are apart agree on when a token ends (F27).
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        self._time_offset = 0.0
        self._furthest_offset = float("-inf")
        self._set_backs = 0
        self._signing: SigningKey | None = None
        self._verifying: Mapping[str, VerificationKey] = MappingProxyType({})
        self._why_none = _NO_KEY

    def install(
        self,
        signing: SigningKey | None,
        verifying: Mapping[str, VerificationKey],
        database_time: float,
        why_none: str = _NO_KEY,
    ) -> None:
        """Replace all keys by what was just read, when the database's clock said `database_time` (seconds).

        `why_none` tells the operator why there is no key to sign with.
        """
        self._why_none = why_none
        self._looked_at = self._monotonic()
        self._time_offset = database_time - self._looked_at
        if self._time_offset < self._furthest_offset - _SET_BACK_SECONDS:
            self._set_backs += 1
            self._furthest_offset = self._time_offset
        self._furthest_offset = max(self._furthest_offset, self._time_offset)
        self._signing = signing
        self._verifying = MappingProxyType(dict(verifying))

    def now(self) -> float:
        """Return the time of the database's clock, in seconds since 1970."""
        return self._monotonic() + self._time_offset

    @property
    def set_backs(self) -> int:
        """How often the database's clock was seen to be set back, by so much that it matters to what is remembered."""
        return self._set_backs

    def signing_key(self) -> SigningKey:
        """Return the key to sign with.

        Raises:
            MetadataUnavailableError: it is not known which that is.
            SigningKeyUnavailableError: there is none, or this process can't open it.
        """
        self._require_fresh()
        if self._signing is None:
            raise SigningKeyUnavailableError(self._why_none)
        return self._signing

    async def check(self) -> None:
        """Return if tokens can be issued, as a check of a health board.

        Raises:
            MetadataUnavailableError, SigningKeyUnavailableError: they can't.
        """
        self.signing_key()

    def verification_keys(self) -> Mapping[str, VerificationKey]:
        """Return every key that something may be signed with, by id: the next, the active, and retired ones.

        Raises:
            MetadataUnavailableError: it is not known which these are.
        """
        self._require_fresh()
        return self._verifying

    def _require_fresh(self) -> None:
        if self._monotonic() - self._looked_at > _TRUSTED_SECONDS:
            raise MetadataUnavailableError("the signing keys were not read for 60 s")
