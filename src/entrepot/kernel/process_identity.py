"""Names a process so that a later one can tell whether it still lives, on this machine and in this boot.

Leases carry such a name. A process that starts gives back at once what its dead predecessors held, instead of letting
clients wait until the leases run out, and leaves alone what a living one holds, such as a predecessor that is draining.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessIdentity"]

_START_TIME_FIELD = 22
"""Of /proc/<pid>/stat, counted from 1 (proc(5)): clock ticks between boot and start of the process."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process of one node.

    Attributes:
        node: a random id of the node's data directory, which only one set of processes uses at a time.
        pid: the process id, which the kernel gives again to others.
        started: clock ticks from boot to start, which together with `pid` and `boot` is unique.
        boot: the kernel's random id of this boot.
    """

    node: str
    pid: int
    started: int
    boot: str

    @classmethod
    def of_this_process(cls, node: str) -> ProcessIdentity:
        """Return the identity of the caller's process."""
        pid = os.getpid()
        return cls(node, pid, _start_time(pid), _boot_id())

    @classmethod
    def parse(cls, text: str) -> ProcessIdentity | None:
        """Read what :meth:`__str__` wrote, `None` for anything else."""
        parts = text.split("/")
        if len(parts) != 4 or not (parts[1].isdigit() and parts[2].isdigit()):
            return None
        return cls(parts[0], int(parts[1]), int(parts[2]), parts[3])

    def __str__(self) -> str:
        return f"{self.node}/{self.pid}/{self.started}/{self.boot}"

    def is_alive(self) -> bool:
        """Return whether the process still runs; only of use on its own node."""
        return self.boot == _boot_id() and self.started == _start_time(self.pid)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _start_time(pid: int) -> int:
    """Return when a process was started, -1 when there is none (or only a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return -1
    # The second field is the command's name in parentheses and may contain anything; the others are plain.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[_START_TIME_FIELD - 3]
    return -1 if state in ("Z", "X") else int(started)
