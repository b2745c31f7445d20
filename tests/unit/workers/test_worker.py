"""Duties repeat, fail alone, and end when the worker is told to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.workers.worker import Duty, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Stores:
    """Stands for what the worker opens and closes."""

    def __init__(self, *duties: Duty) -> None:
        self.duties = duties
        self.closed = 0

    async def open(self) -> Sequence[Duty]:
        return self.duties

    async def close(self) -> None:
        self.closed += 1


async def _run_until(worker: Worker, enough: asyncio.Event) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    async with asyncio.timeout(60):
        await enough.wait()
        stop.set()
        await running


async def test_a_duty_is_repeated_until_the_stop() -> None:
    """A run that succeeded is followed by another after the period, and the stores are closed at the end."""
    runs = 0
    enough = asyncio.Event()

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            enough.set()

    stores = _Stores(Duty("count", 0.001, run))
    await _run_until(Worker(stores.open, stores.close), enough)

    assert runs >= 3
    assert stores.closed == 1


async def test_a_failing_duty_does_not_stop_the_others() -> None:
    """One duty raises at every run; the other goes on."""
    runs = 0
    failures = 0
    enough = asyncio.Event()

    async def fail() -> None:
        nonlocal failures
        failures += 1
        raise RuntimeError

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 5:
            enough.set()

    stores = _Stores(Duty("fail", 0.001, fail), Duty("count", 0.001, run))
    await _run_until(Worker(stores.open, stores.close), enough)

    assert (runs >= 5, failures) == (True, 1), "the failing duty has to wait before its second try"


async def test_a_stop_interrupts_the_pause() -> None:
    """A worker whose duties all wait for their period ends at once."""
    enough = asyncio.Event()

    async def run() -> None:
        enough.set()

    stores = _Stores(Duty("rare", 3600, run))
    await _run_until(Worker(stores.open, stores.close), enough)

    assert stores.closed == 1


async def test_stores_that_cannot_be_opened_end_the_worker() -> None:
    """The error reaches the process, which is started again by its parent; what was opened is closed."""
    stores = _Stores()

    async def fail() -> Sequence[Duty]:
        raise OSError

    with pytest.raises(OSError):
        await Worker(fail, stores.close).run(asyncio.Event())
    assert stores.closed == 1
