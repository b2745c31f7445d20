"""The protocol by which secrets that somebody chose are hashed: slowly, off the event loop, a few at a time."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SecretHasher"]


class SecretHasher(Protocol):
    """Hashes with argon2id on a bounded pool. May be called from many tasks."""

    async def hash(self, secret: str, /) -> str:
        """Return the encoded hash, which begins with `$argon2id$`."""
        ...

    async def verify(self, hashed: str | None, secret: str, /) -> bool:
        """Whether the secret is the one that was hashed; without a hash it takes as long and is not (S19)."""
        ...
