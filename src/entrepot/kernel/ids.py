"""Identifiers that are shown to clients: random, so that one can't be guessed from another (S5)."""

from __future__ import annotations

import os
import secrets
import time

__all__ = ["new_ordered_id", "new_public_id"]

_RANDOM_BYTES = 16
_TIME_BYTES = 6
_RANDOM_BYTES_BEHIND_TIME = 10


def new_public_id() -> str:
    """Return 128 random bits as 32 lower-case hexadecimal digits."""
    return secrets.token_hex(_RANDOM_BYTES)


def new_ordered_id() -> str:
    """Return the same, but 80 random bits behind the time in milliseconds.

    For rows that come by the million: an index of random ids touches another page for each of them, which costs more
    the more there are; these are added at its end. No time is read from them, so that clocks may differ.
    """
    milliseconds = time.time_ns() // 1_000_000  # noqa: TID251  # only for the order
    return (milliseconds.to_bytes(_TIME_BYTES, "big") + os.urandom(_RANDOM_BYTES_BEHIND_TIME)).hex()
