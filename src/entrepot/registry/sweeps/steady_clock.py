"""Tells whether the database's clock runs steadily, so that nothing is put right or removed by one that is wrong (F27).

A clock that is behind for a minute, as that of a machine without a battery is until its time is set, makes everything
look as if it were dated ahead. What is shortened then is over a minute later, though nothing was wrong with it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.metadata.store import Metadata

__all__ = ["STEADY_SECONDS", "SteadyClock"]

_log: Any = structlog.get_logger()

STEADY_SECONDS: Final = 600
"""How long the clock is watched before what it says of times far ahead is believed."""

_JUMP_SECONDS: Final = 60.0
"""More than a slewed clock moves between two comparisons, less than what makes a difference to anything stored."""

_MILLISECONDS: Final = 1000
_NEVER: Final = float("-inf")


class SteadyClock:
    """The database's clock beside the monotonic one of this process, which begins to watch it with its first look.

    One for all duties of a process; belongs to one event loop. What it tells is what the last look found, so whoever
    is about to act by the database's times looks after those were read. Monotonic time stands still while a machine is
    suspended, so waking up counts as a jump.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._offset: float | None = None
        self._compared_at = _NEVER
        self._watched_since = _NEVER
        self._looked_at = _NEVER
        self._jumped_at = _NEVER

    async def look(self, metadata: Metadata) -> None:
        """Ask the database for its time. The way there and back counts half.

        Raises:
            MetadataError: it can't be asked.
        """
        asked = self._monotonic()
        clock = await metadata.diagnosis.clock_milliseconds()
        self._note(clock / _MILLISECONDS, (asked + self._monotonic()) / 2)

    @property
    def is_steady(self) -> bool:
        """Whether it was seen for ten minutes without a jump; not before this process has watched it for so long."""
        return self._looked_at - self._watched_since >= STEADY_SECONDS

    @property
    def has_jumped(self) -> bool:
        """Whether it was seen to jump, in either direction, within the last ten minutes; the first look sees none."""
        return self._looked_at - self._jumped_at < STEADY_SECONDS

    def _note(self, database_seconds: float, at: float) -> None:
        offset = database_seconds - at
        self._looked_at = max(self._looked_at, at)
        if self._offset is None:
            self._watched_since = at
        elif abs(offset - self._offset) > _JUMP_SECONDS:
            self._watched_since = self._jumped_at = at
            _log.warning("clock.jumped", seconds=round(offset - self._offset, 3))
        elif at - self._compared_at < STEADY_SECONDS:
            return
        # Compared anew now and then: two clocks that both run drift apart by a minute in some weeks.
        self._offset, self._compared_at = offset, at
