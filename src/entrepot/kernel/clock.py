"""This machine's own clock, and how far clocks may be apart. What is stored bears the database's time."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["LEEWAY_SECONDS", "machine_milliseconds"]

LEEWAY_SECONDS: Final = 60
"""How far ahead of the database's clock what was issued may begin: nodes follow that clock, each a little behind or
ahead, and it is put back a little now and then. What begins later was made under a clock that was wrong (F27). As long
a token outlives what its client was told, whose clock may be behind (T11)."""


def machine_milliseconds() -> int:
    """Return milliseconds since 1970: for what is dated without the database, or stands as a word beside its own."""
    return time.time_ns() // 1_000_000  # noqa: TID251  # the one place
