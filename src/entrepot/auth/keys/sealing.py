"""Seals secrets that have to lie in the database: AES-256-GCM under the master key, bound to the row they belong to."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from entrepot.auth.keys.errors import MasterKeyMissingError, UnsealingError

if TYPE_CHECKING:
    from entrepot.auth.keys.master_key import MasterKey

__all__ = ["Sealing"]

_NONCE_BYTES: Final = 12
"""Random; with as few secrets as a registry stores, none is ever drawn twice."""


class Sealing:
    """Seals with one key, and opens what that or one of the `others` sealed. May be used from any thread."""

    def __init__(self, key: MasterKey, *others: MasterKey) -> None:
        self.key_id: Final = key.key_id
        self._key = key
        self._keys = (*others, key)
        self._ciphers = {one.key_id: AESGCM(one.reveal()) for one in self._keys}

    def under(self, key: MasterKey) -> Sealing:
        """Return one that seals with another key, and opens what this one opens."""
        return Sealing(key, *self._keys)

    def derive(self, purpose: str) -> bytes:
        """Return a key for a purpose of its own, the same on every node that has this master key."""
        return hmac.digest(self._key.reveal(), f"entrepot {purpose}".encode(), "sha256")

    def opens(self, key_id: str) -> bool:
        """Whether the master key of that id is here."""
        return key_id in self._ciphers

    def require(self, key_id: str) -> None:
        """Return if the master key of that id is here.

        Raises:
            MasterKeyMissingError: it is not.
        """
        if key_id not in self._ciphers:
            raise MasterKeyMissingError(key_id, tuple(self._ciphers))

    def seal(self, secret: bytes, purpose: str, identity: str) -> bytes:
        """Return the secret, sealed; it can be opened only for the same purpose and identity.

        Args:
            purpose: what kind of secret it is, as `signing-key`.
            identity: what names the row, so that nobody puts one row's secret into another.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[self.key_id].encrypt(nonce, secret, _bound_to(purpose, identity))

    def unseal(self, sealed: bytes, key_id: str, purpose: str, identity: str) -> bytes:
        """Return the secret again; fails closed.

        Raises:
            MasterKeyMissingError: another key sealed it; the message names which.
            UnsealingError: it was altered, or belongs to something else.
        """
        self.require(key_id)
        try:
            cipher, bound_to = self._ciphers[key_id], _bound_to(purpose, identity)
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:
            raise UnsealingError(purpose, identity) from error


def _bound_to(purpose: str, identity: str) -> bytes:
    """Return the associated data, with the length in front so that no two pairs read alike (S42)."""
    return f"{len(purpose)}:{purpose}{identity}".encode()
