"""A server under measurement as the kernel sees it: its process tree, processor time and resident memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["ProcessMemory", "ThreadTime", "cpu_seconds", "process_tree", "resident_memory", "thread_times"]

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_KIBIBYTE: Final = 1024


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """One process at rest. `resident_bytes` counts shared pages in full, `proportional_bytes` their share."""

    pid: int
    command: str
    resident_bytes: int
    proportional_bytes: int


@dataclass(frozen=True, slots=True)
class ThreadTime:
    """Processor time of one thread."""

    thread: int
    name: str
    seconds: float


def process_tree(root: int) -> list[int]:
    """Return a process and all below it."""
    found = [root]
    for pid in found:  # grows while it is walked
        for thread in Path(f"/proc/{pid}/task").glob("*/children"):
            found.extend(int(child) for child in thread.read_text().split())
    return found


def cpu_seconds(root: int) -> float:
    """Return the user and system time of a process tree so far; processes that ended are counted by their parent."""
    ticks = 0
    for pid in process_tree(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])  # utime, stime and those of ended children
    return ticks / _TICKS_PER_SECOND


def thread_times(pid: int) -> list[ThreadTime]:
    """Return the processor time of each thread of one process, in nanosecond resolution where the kernel has it."""
    times: list[ThreadTime] = []
    for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
        nanoseconds = int((task / "schedstat").read_text().split()[0])
        times.append(ThreadTime(int(task.name), (task / "comm").read_text().strip(), nanoseconds / 1e9))
    return times


def resident_memory(root: int) -> list[ProcessMemory]:
    """Return what each process of a tree holds in memory now."""
    return [_memory_of(pid) for pid in process_tree(root)]


def _memory_of(pid: int) -> ProcessMemory:
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0]) * _KIBIBYTE
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return ProcessMemory(pid, command, sizes["Rss"], sizes["Pss"])
