"""The protocol by which secrets that somebody chose are hashed: slowly, off the event loop, a few at a time."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SecretHasher"]


class SecretHasher(Protocol):
    """Hashes with argon2id on a bounded pool. May be called from many tasks."""

    async def hash(self, secret: str, /, *, place: str = "") -> str:
        """Return the encoded hash, which begins with `$argon2id$`. Places take turns.

        Raises:
            PasswordsBusyError: too many wait already.
        """
        ...

    async def verify(self, hashed: str | None, secret: str, /, *, place: str = "") -> bool:
        """Whether the secret is the one that was hashed; without a hash it takes as long and is not (S19).

        Raises:
            PasswordsBusyError: too many wait already.
        """
        ...
