"""From a passphrase to a repository's key: the key is random, and a passphrase only wraps it.

So that a passphrase can be changed or a second one added without sealing everything anew. Who loses the passphrase
loses the backups: there is no other way to the key.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from entrepot.backup.errors import PassphraseError, RepositoryFormatError
from entrepot.backup.format import KeySlot, RepositoryHeader
from entrepot.backup.sealing import KEY_BYTES
from entrepot.blobstore.keys import BACKUP_REPOSITORY

__all__ = ["SCRYPT_COST", "make_slot", "unwrap_key"]

SCRYPT_COST: Final = 1 << 17
"""Rounds for new repositories, with r = 8: 128 MiB of memory and about half a second per try (OWASP, 2025)."""

_BLOCK: Final = 8
_MOST_MEMORY: Final = 1 << 30
"""A header that asks for more is not ours, and must not take this machine's memory."""


def make_slot(repository: str, passphrase: str, key: bytes, cost: int = 0) -> KeySlot:
    """Wrap the repository's key, with `cost` rounds or as many as are usual. Blocks for as long as scrypt takes."""
    cost = cost or SCRYPT_COST
    salt, nonce = os.urandom(32), os.urandom(12)
    wrapping = AESGCM(_stretch(passphrase, salt, cost, _BLOCK, 1))
    wrapped = wrapping.encrypt(nonce, key, repository.encode())
    return KeySlot(n=cost, r=_BLOCK, p=1, salt=salt, nonce=nonce, wrapped=wrapped)


def unwrap_key(header: RepositoryHeader, passphrase: str) -> bytes:
    """Return the repository's key. Blocks for as long as scrypt takes, once per slot.

    Raises:
        PassphraseError: no slot opens with the passphrase.
        RepositoryFormatError: a slot asks for absurd parameters.
    """
    for slot in header.keys:
        if 128 * slot.n * slot.r * slot.p > _MOST_MEMORY:
            raise RepositoryFormatError(BACKUP_REPOSITORY, "a key slot asks for more memory than any of ours")
        wrapping = AESGCM(_stretch(passphrase, slot.salt, slot.n, slot.r, slot.p))
        try:
            return wrapping.decrypt(slot.nonce, slot.wrapped, header.id.encode())
        except InvalidTag:
            continue
    raise PassphraseError("the passphrase does not open this backup repository; nothing was read or written")


def _stretch(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        passphrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=2 * _MOST_MEMORY - 1, dklen=KEY_BYTES
    )
