"""Clocks that a test moves: that of the database, as far as it is asked for its time, beside the monotonic one.

What statements compare with the present moves by the rows instead: a clock that is a day behind is one beside which
everything lies a day further ahead.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from entrepot.registry.sweeps.steady_clock import STEADY_SECONDS, SteadyClock
from tests.drivers.metadata.verified_while import Passing

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata

__all__ = ["MovedClocks", "steady_clock"]

_MILLISECONDS: Final = 1000


class MovedClocks:
    """Time that passes when a test says so, on top of real time, and jumps of the database's clock."""

    def __init__(self) -> None:
        self._passed_seconds = 0.0
        self._jumped_seconds = 0.0

    def pass_time(self, seconds: float) -> None:
        """Let time pass by both clocks."""
        self._passed_seconds += seconds

    def jump(self, seconds: float) -> None:
        """Set the database's clock, further ahead or back."""
        self._jumped_seconds += seconds

    def monotonic(self) -> float:
        """Return what a process reads."""
        return time.monotonic() + self._passed_seconds

    def watch(self) -> SteadyClock:
        """Return what a process that starts now knows of the database's clock."""
        return SteadyClock(self.monotonic)

    def beside(self, metadata: Metadata) -> Any:
        """Return the store as one whose database has the moved clock."""
        store, diagnosis = Passing(metadata), Passing(metadata.diagnosis)

        async def clock() -> int:
            moved = self._passed_seconds + self._jumped_seconds
            return await metadata.diagnosis.clock_milliseconds() + int(moved * _MILLISECONDS)

        vars(store)["diagnosis"] = diagnosis
        vars(diagnosis)["clock_milliseconds"] = clock
        return store

    async def watched(self, metadata: Metadata) -> SteadyClock:
        """Return what a process knows that has seen the clock run steadily for long enough."""
        clock = self.watch()
        await clock.look(self.beside(metadata))
        self.pass_time(STEADY_SECONDS)
        await clock.look(self.beside(metadata))
        return clock


async def steady_clock(metadata: Metadata) -> SteadyClock:
    """Return what a process knows of the real clock that has watched it for long enough."""
    shift = -float(STEADY_SECONDS)
    clocks = MovedClocks()
    clock = SteadyClock(lambda: time.monotonic() + shift)
    clocks.pass_time(shift)
    await clock.look(clocks.beside(metadata))
    shift = 0.0
    await clock.look(metadata)
    return clock
