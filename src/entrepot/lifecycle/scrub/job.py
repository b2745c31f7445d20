"""The scheduled verification: one pass each period, by one node at a time, going on after a restart."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.kernel.errors import EntrepotError
from entrepot.lifecycle.errors import MassDamageError
from entrepot.lifecycle.scrub.ledger import Ledger
from entrepot.lifecycle.scrub.options import Mode
from entrepot.lifecycle.scrub.scrub import Scrub

if TYPE_CHECKING:
    from entrepot.lifecycle.scrub.ledger import Progress
    from entrepot.lifecycle.scrub.options import ScrubGround, ScrubOptions, Watcher
    from entrepot.registry.sweeps.steady_clock import SteadyClock

__all__ = ["SCRUB_SWEEP", "VERIFY_SWEEP", "ScrubJob", "ScrubSchedule", "longest_pause"]

_log: Any = structlog.get_logger()

SCRUB_SWEEP: Final = "scrub"
"""The sweep of the scheduled verification."""

VERIFY_SWEEP: Final = "verify"
"""The sweep of the command."""

_ASK_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class ScrubSchedule:
    """How often, and how."""

    period_seconds: int
    options: ScrubOptions


class ScrubJob:
    """Runs passes in a task of its own, which a process that stops simply cancels: the pass goes on elsewhere."""

    def __init__(
        self, ground: ScrubGround, schedule: ScrubSchedule, watcher: Watcher, clock: SteadyClock
    ) -> None:
        self._ground = ground
        self._schedule = schedule
        self._watcher = watcher
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._ask_at = 0.0

    @property
    def is_running(self) -> bool:
        """Whether a pass is under way here."""
        return self._task is not None

    async def attend(self) -> None:
        """Begin or go on with a pass when one is due, and see how the one under way is doing; returns at once.

        Raises:
            EntrepotError: the pass broke off since the last call; it goes on in a few minutes.
        """
        if self._task is not None:
            if self._task.done():
                task, self._task = self._task, None
                task.result()
            return
        now = asyncio.get_running_loop().time()
        if now < self._ask_at:
            return
        self._ask_at = now + _ASK_SECONDS
        longest = longest_pause(self._schedule.period_seconds)
        ledger = await Ledger.take_if_due(self._ground.metadata, self._clock, SCRUB_SWEEP, longest)
        if ledger is not None:
            self._task = asyncio.create_task(self._go_on(ledger), name="scrub")

    async def aclose(self) -> None:
        """Stop the pass under way; its place is kept."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _go_on(self, ledger: Ledger) -> None:
        try:
            if not ledger.progress.running:
                await ledger.begin(fast=False, repositories=())
            progress = await self._run(ledger)
        except BaseException as error:
            pause = 0 if isinstance(error, asyncio.CancelledError) else _RETRY_SECONDS
            with contextlib.suppress(EntrepotError):
                await ledger.release(pause)
            raise
        await ledger.complete(self._schedule.period_seconds)
        log_end(progress)

    async def _run(self, ledger: Ledger) -> Progress:
        options = self._schedule.options
        try:
            return await Scrub(self._ground, options, self._watcher).run(ledger)
        except MassDamageError as error:
            _log.error("scrub.repair.stopped", reason=str(error))  # the sentence says it all
        # What is left is examined all the same, so that the report is whole.
        return await Scrub(self._ground, replace(options, mode=Mode.REPORT), self._watcher).run(ledger)


def longest_pause(period_seconds: int) -> int:
    """Return how far ahead the next turn of the scheduled verification can lie, in seconds."""
    return max(period_seconds, _RETRY_SECONDS)


def log_end(progress: Progress) -> None:
    """Tell the log how a pass ended."""
    _log.info(
        "scrub.finished",
        objects=sum(progress.counts.values()),
        bytes=progress.read_bytes,
        damaged=sum(progress.damaged.values()),
        orphans=progress.orphans,
        orphan_bytes=progress.orphan_bytes,
    )
