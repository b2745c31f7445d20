"""Identifiers that are shown to clients: random, so that one can't be guessed from another (S5)."""

from __future__ import annotations

import secrets

__all__ = ["new_public_id"]

_RANDOM_BYTES = 16


def new_public_id() -> str:
    """Return 128 random bits as 32 lower-case hexadecimal digits."""
    return secrets.token_hex(_RANDOM_BYTES)
