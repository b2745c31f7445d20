"""One child as the parent sees it: started by exec, watched through a pidfd, heard through its status pipe."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import msgspec

from entrepot.processes.assignment import Assignment, Ready, Refused, Report, Role, parse_report

__all__ = ["RunningProcess", "StartPlan", "describe_exit"]

_PIPE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class StartPlan:
    """What is the same for each process of a role: where its code is, what it inherits.

    `listener` is -1 for a role without one. `environment` is the whole environment of the child.
    """

    role: Role
    factory: str
    listener: int
    drain_flag: int
    lock: int
    environment: dict[str, str]


class RunningProcess:
    """A started child. `ready` is done with what it reports first, `exited` with its return code (negative: signal)."""

    def __init__(self, plan: StartPlan, settings_dump: str) -> None:
        """Start the process.

        Raises:
            OSError: if the system has no memory, process or descriptor left.
        """
        loop = asyncio.get_running_loop()
        self.role = plan.role
        self.ready: asyncio.Future[Report | None] = loop.create_future()
        self.exited: asyncio.Future[int] = loop.create_future()
        self.started_at = time.monotonic()
        self._heard = b""
        self._status, status_of_child = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._popen = _spawn(plan, settings_dump, status_of_child)
        except OSError:
            os.close(self._status)
            raise
        finally:
            os.close(status_of_child)
        self._pidfd = os.pidfd_open(self._popen.pid)
        loop.add_reader(self._status, self._hear)
        loop.add_reader(self._pidfd, self._collect_exit)

    @property
    def pid(self) -> int:
        """The process id; it stays ours until `exited` is done."""
        return self._popen.pid

    @property
    def lifetime_seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_at

    def ask_to_stop(self) -> None:
        """Send SIGTERM, unless it has ended."""
        self._popen.send_signal(signal.SIGTERM)

    def ask_to_part(self) -> None:
        """Send SIGUSR1, unless it has ended: it shall let go of its clients.

        Not another SIGTERM, which a service manager may send to every process at the beginning of a stop.
        """
        self._popen.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self._popen.kill()

    @property
    def is_ready(self) -> bool:
        """Whether it has reported that it does its work."""
        return self.ready.done() and isinstance(self.ready.result(), Ready)

    @property
    def refusal(self) -> Refused | None:
        """Why it can't work with its settings, if that is what it reported."""
        report = self.ready.result() if self.ready.done() else None
        return report if isinstance(report, Refused) else None

    def _hear(self) -> None:
        try:
            content = os.read(self._status, _PIPE_BYTES)
        except BlockingIOError:
            return
        if content == b"":
            self._stop_hearing()
            return
        self._heard += content
        line, newline, _ = self._heard.partition(b"\n")
        if newline and not self.ready.done():
            try:
                self.ready.set_result(parse_report(line))
            except msgspec.DecodeError:
                self.ready.set_result(None)

    def _stop_hearing(self) -> None:
        if self._status >= 0:
            asyncio.get_running_loop().remove_reader(self._status)
            os.close(self._status)
            self._status = -1

    def _collect_exit(self) -> None:
        code = self._popen.poll()
        if code is None:
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._status >= 0:
            self._hear()  # its last words may still lie in the pipe
        self._stop_hearing()
        if not self.ready.done():
            self.ready.set_result(None)
        self.exited.set_result(code)


def describe_exit(code: int) -> dict[str, int | str]:
    """Return the facts of a return code for the log: an exit status, or the name of the signal."""
    if code >= 0:
        return {"exit_status": code}
    return {"signal": signal.Signals(-code).name}


def _spawn(plan: StartPlan, settings_dump: str, status: int) -> subprocess.Popen[bytes]:
    assignment = Assignment(
        role=plan.role,
        factory=plan.factory,
        listener=plan.listener,
        status=status,
        drain_flag=plan.drain_flag,
        settings_dump=settings_dump,
    ).to_memory_file()
    inherited = {status, plan.drain_flag, plan.lock, plan.listener} - {-1}
    try:
        # -P: the working directory is no place to import from. A process group of its own: Ctrl-C in a terminal
        # reaches the parent alone, which then stops the children in their order.
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module, no shell
            [sys.executable, "-P", "-m", "entrepot.processes.launch", plan.role, str(os.getpid())],
            stdin=assignment,
            pass_fds=tuple(inherited),
            env=plan.environment,
            process_group=0,
        )
    finally:
        os.close(assignment)
