"""Patterns for LIKE … ESCAPE '!' from what somebody typed, in which nothing but what is added here is a wildcard (S25).

SQLite's LIKE looks past case and PostgreSQL's does not. For one answer on both, patterns are lowered here, and every
statement lowers its column.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["containing", "filter_containing", "literal", "lowered", "starting_with"]

_SPECIAL: Final = re.compile(r"[!%_]")
_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def literal(text: str) -> str:
    """Return the pattern of exactly this text, in whichever case."""
    return _SPECIAL.sub(lambda match: f"!{match[0]}", lowered(text))


def containing(text: str) -> str:
    """Return the pattern of what has `text` anywhere; an empty one fits everything."""
    return f"%{literal(text)}%"


def starting_with(text: str) -> str:
    """Return the pattern of what begins with `text`."""
    return f"{literal(text)}%"


def filter_containing(text: str) -> str:
    """Return the same, but nothing for nothing: such statements ask first whether there is a filter."""
    return containing(text) if text else ""


def lowered(text: str) -> str:
    """Return a text as the engines' own lower() makes it under byte order: only ASCII is touched."""
    return text.translate(_ASCII_LOWER)
