"""What a gauge of when something was last completed shows: never a time that lies ahead (F27)."""

from __future__ import annotations

from typing import Final

__all__ = ["shown_completion"]

_MILLISECONDS: Final = 1000
_CORRECTION_MILLISECONDS: Final = 3600 * _MILLISECONDS
"""A clock that is set back by so little makes an alarm late by as little."""

_NOBODY_KNOWS: Final = 1.0
_NEVER: Final = 0.0


def shown_completion(at_milliseconds: int, now_milliseconds: int) -> float:
    """Return the gauge's value in seconds since 1970; `at_milliseconds` is 0 for what was never completed.

    A time far ahead was written under a clock that was ahead. Shown as it is, it would keep the alarms silent until
    the clock gets there. 0 would say that it never happened, which is no alarm for a verification. One second is as
    long ago as it gets: the alarms fire until something is completed by the right clock.
    """
    if at_milliseconds <= 0:
        return _NEVER
    if at_milliseconds > now_milliseconds + _CORRECTION_MILLISECONDS:
        return _NOBODY_KNOWS
    return min(at_milliseconds, now_milliseconds) / _MILLISECONDS
