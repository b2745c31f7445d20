"""Keeps one process of a role running: starts it again when it ends, swaps it on reload, ends it in bounded time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from entrepot.observability.logging import get_logger
from entrepot.processes.running_process import RunningProcess, describe_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from entrepot.processes.assignment import Refused, Role

__all__ = ["PARTING_SECONDS", "Keeper", "KeeperHooks", "respawn_delay_seconds"]

_MAX_DELAY_SECONDS = 30.0
_FIRST_DELAY_SECONDS = 0.5
_STABLE_SECONDS = 60.0
"""After a life this long an end counts as the first again."""
_REPLACEMENT_READY_SECONDS = 60.0
_RETIREMENT_SECONDS = 600.0
"""How long a process that was replaced may go on with requests under way; nothing waits for it meanwhile."""
PARTING_SECONDS = 5.0
"""How long a process whose time is over may record what of unfinished uploads has arrived, before it is killed."""
_HURRIED_PATIENCE_SECONDS = 1.0


def respawn_delay_seconds(failure_count: int) -> float:
    """Return the pause before the next start after `failure_count` ends in a row: 0, then 0.5 doubling up to 30."""
    if failure_count <= 1:
        return 0.0
    doublings = min(failure_count - 2, 16)
    return float(min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2**doublings))


@dataclass(frozen=True, slots=True)
class KeeperHooks:
    """What the keeper needs from its owner.

    `start` starts a process (it may raise OSError); `on_exit` is told the pid of each that ended; `on_refused` is
    told of a process that can't work with its settings before any of this role ever worked.
    """

    start: Callable[[Role], RunningProcess]
    on_exit: Callable[[int], None]
    on_refused: Callable[[Refused], None]


class Keeper:
    """See the module. All methods belong to the event loop's thread."""

    def __init__(self, role: Role, hooks: KeeperHooks) -> None:
        self.role = role
        self.first_ready = asyncio.Event()
        self._hooks = hooks
        self._current: RunningProcess | None = None
        self._retiring: set[RunningProcess] = set()
        self._failure_count = 0
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the process; from now on it is kept."""
        self._timer = None
        self._current = self._try_to_start()
        if self._current is None:
            self._schedule_respawn()

    async def replace(self) -> bool:
        """Start a second process, and when it is ready let the first finish what it has under way; False: kept the old.

        Where both listen on the same inherited socket, no connection is refused or reset by this.
        """
        if self._is_stopping() or self._current is None:
            return False
        log = get_logger()
        successor = self._try_to_start()
        if successor is None:
            return False
        self._retiring.add(successor)  # until it is ready nobody misses it
        await asyncio.wait({successor.ready}, timeout=_REPLACEMENT_READY_SECONDS)
        if self._is_stopping() or not successor.is_ready or successor.exited.done():
            refusal = successor.refusal
            reason = refusal.reason if refusal is not None else "it did not become ready"
            log.error("process.replacement.failed", role=self.role, pid=successor.pid, reason=reason)
            successor.kill()
            return False
        former, self._current = self._current, successor
        self._retiring.discard(successor)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not former.exited.done():
            self._retire(former)
        log.info("process.replaced", role=self.role, pid=successor.pid, former_pid=former.pid)
        return True

    def ask_to_stop(self) -> None:
        """Keep the process no longer and send SIGTERM to it and to those it replaced."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        for process in self._living():
            process.ask_to_stop()

    async def wait_stopped(
        self, patience_seconds: float, hurry: asyncio.Event, parting_seconds: float = 0.0
    ) -> None:
        """Wait until all have ended, `patience_seconds` at most, or until `hurry` is set; then kill what is left.

        With `parting_seconds` those that are left have so long to let go of their clients, a second in a hurry.
        """
        everybody = asyncio.gather(*(process.exited for process in self._living()))
        if parting_seconds:
            await _wait_for_either(everybody, _be_patient(patience_seconds, hurry, 0.0))
            for process in self._living():
                get_logger().warning(
                    "process.parting", role=self.role, pid=process.pid, reason=_reason(hurry)
                )
                process.ask_to_part()
        patience_seconds = parting_seconds or patience_seconds
        await _wait_for_either(everybody, _be_patient(patience_seconds, hurry, _HURRIED_PATIENCE_SECONDS))
        for process in self._living():
            get_logger().warning("process.killed", role=self.role, pid=process.pid, reason=_reason(hurry))
            process.kill()
        await everybody

    def _is_stopping(self) -> bool:
        return self._stopping

    def _living(self) -> list[RunningProcess]:
        everybody = self._retiring if self._current is None else self._retiring | {self._current}
        return [process for process in everybody if not process.exited.done()]

    def _try_to_start(self) -> RunningProcess | None:
        try:
            process = self._hooks.start(self.role)
        except OSError as error:
            get_logger().error("process.start.failed", role=self.role, reason=str(error))
            return None
        process.ready.add_done_callback(lambda _: self._note_ready(process))
        process.exited.add_done_callback(lambda _: self._note_exit(process))
        get_logger().info("process.started", role=self.role, pid=process.pid)
        return process

    def _note_ready(self, process: RunningProcess) -> None:
        if process.is_ready:
            seconds = round(process.lifetime_seconds, 3)
            get_logger().info("process.ready", role=self.role, pid=process.pid, seconds=seconds)
            self.first_ready.set()

    def _note_exit(self, process: RunningProcess) -> None:
        facts = describe_exit(process.exited.result())
        expected = self._stopping or process is not self._current
        write = get_logger().info if expected else get_logger().error
        seconds = round(process.lifetime_seconds, 3)
        write("process.exited", role=self.role, pid=process.pid, lifetime_seconds=seconds, **facts)
        self._hooks.on_exit(process.pid)
        self._retiring.discard(process)
        if process is not self._current or self._stopping:
            return
        refusal = process.refusal
        if refusal is not None:
            get_logger().error("process.refused", role=self.role, pid=process.pid, reason=refusal.reason)
            if not self.first_ready.is_set():
                self._hooks.on_refused(refusal)
                return
        if process.lifetime_seconds >= _STABLE_SECONDS:
            self._failure_count = 0
        self._schedule_respawn()

    def _schedule_respawn(self) -> None:
        self._failure_count += 1
        delay = respawn_delay_seconds(self._failure_count)
        get_logger().warning(
            "process.respawning", role=self.role, delay_seconds=delay, failure_count=self._failure_count
        )
        self._timer = asyncio.get_running_loop().call_later(delay, self.start)

    def _retire(self, process: RunningProcess) -> None:
        self._retiring.add(process)
        process.ask_to_stop()
        loop = asyncio.get_running_loop()
        parting = loop.call_later(_RETIREMENT_SECONDS, process.ask_to_part)
        killing = loop.call_later(_RETIREMENT_SECONDS + PARTING_SECONDS, process.kill)
        process.exited.add_done_callback(lambda _: parting.cancel())
        process.exited.add_done_callback(lambda _: killing.cancel())


def _reason(hurry: asyncio.Event) -> str:
    return "hurry" if hurry.is_set() else "took too long to stop"


async def _wait_for_either(everybody: asyncio.Future[Any], patience: Coroutine[Any, Any, None]) -> None:
    """Wait until all have ended or patience has."""
    waiting = asyncio.create_task(patience)
    await asyncio.wait({everybody, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _be_patient(seconds: float, hurry: asyncio.Event, hurried_seconds: float) -> None:
    if not hurry.is_set():
        try:
            async with asyncio.timeout(seconds):
                await hurry.wait()
        except TimeoutError:
            return
    await asyncio.sleep(min(seconds, hurried_seconds))
