"""Passwords as texts: one form for each way in which an input method composes a character, of what can be one.

Normalizing takes quadratic time in the length of a run of combining marks, and holds the interpreter meanwhile: 190 KB
of them would stop a process for nine seconds. So it is done here only, and only to what is short enough.
"""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["MAX_LENGTH", "MAX_PRESENTED_LENGTH", "composed"]

MAX_LENGTH: Final = 128
"""Characters, composed; more would only give somebody a way to keep the threads busy."""

_MOST_PARTS: Final = 4
"""Into as many one character comes apart at most (UAX #15, "Maximum Expansion Factors", NFD in UTF-32)."""

MAX_PRESENTED_LENGTH: Final = MAX_LENGTH * _MOST_PARTS
"""Characters as they are presented, in whichever form: what has more has more than `MAX_LENGTH` when it is composed."""


def composed(password: str) -> str | None:
    """Return a password in the form that is judged and hashed (NFC); `None` when it is too long to be anybody's."""
    if len(password) > MAX_PRESENTED_LENGTH:
        return None
    return unicodedata.normalize("NFC", password)
