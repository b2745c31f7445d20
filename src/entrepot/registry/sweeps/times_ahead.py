"""Tells the log of times that lay further ahead of the database's clock than they can, and were put right (F27).

Whoever writes a time ahead writes at most now and the longest time that what it dates may take. One that lies further
ahead was written under a clock that was ahead and has been set back since. Whoever meets it makes it that much.
"""

from __future__ import annotations

from typing import Any

import structlog

__all__ = ["tell_ahead"]

_log: Any = structlog.get_logger()

_MILLISECONDS = 1000


def tell_ahead(what: str, milliseconds: int) -> None:
    """Say what was put right, and how far ahead of the clock it lay; nothing where that is 0."""
    if milliseconds > 0:
        _log.warning("time.ahead", what=what, ahead_seconds=milliseconds / _MILLISECONDS)
