"""Patterns for LIKE from what somebody typed, in which nothing but what is added here is a wildcard.

Both sides are lower-cased by the statement and here: SQLite's LIKE looks past case and PostgreSQL's does not.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["containing", "starting_with"]

_SPECIAL: Final = re.compile(r"[!%_]")
_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def containing(text: str) -> str:
    """Return the pattern of what has `text` anywhere; an empty one fits everything."""
    return f"%{_literal(text)}%"


def starting_with(text: str) -> str:
    """Return the pattern of what begins with `text`."""
    return f"{_literal(text)}%"


def _literal(text: str) -> str:
    # Only ASCII, as the engines' own lower() does under byte order.
    return _SPECIAL.sub(lambda match: f"!{match[0]}", text.translate(_ASCII_LOWER))
