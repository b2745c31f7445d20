"""The background worker: a few duties, each repeated on its own period and none able to stop the others."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Duty", "Worker"]

_log: Any = structlog.get_logger()

_MAX_BACK_OFF_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do again and again.

    Attributes:
        name: for the log.
        period_seconds: the pause after a run that succeeded; after failures it doubles, to a minute at most.
        run: one run; must be safe to repeat and to cancel.
    """

    name: str
    period_seconds: float
    run: Callable[[], Awaitable[None]]


class Worker:
    """Runs duties until it is told to stop."""

    def __init__(
        self, open_duties: Callable[[], Awaitable[Sequence[Duty]]], close: Callable[[], Awaitable[None]]
    ) -> None:
        """Take what opens the stores and lists the duties, called once a loop runs, and what closes the stores."""
        self._open_duties = open_duties
        self._close = close

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a run under way is finished first."""
        try:
            duties = await self._open_duties()
            async with asyncio.TaskGroup() as group:
                for duty in duties:
                    group.create_task(_repeat(duty, stop), name=duty.name)
        finally:
            await self._close()


async def _repeat(duty: Duty, stop: asyncio.Event) -> None:
    pause = duty.period_seconds
    while not stop.is_set():
        try:
            await duty.run()
            pause = duty.period_seconds
        except Exception:  # noqa: BLE001  # the supervisor of a duty: the log must tell, the others must go on
            pause = min(max(pause, 1.0) * 2, _MAX_BACK_OFF_SECONDS)
            _log.exception("duty.failed", duty=duty.name, next_try_seconds=pause)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
