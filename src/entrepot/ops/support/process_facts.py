"""Facts of the processes of a running registry, as the kernel tells them: never the values of their environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from entrepot.processes.data_directory import RUN_DIRECTORY

__all__ = ["describe_process", "registry_processes"]

_PROC: Final = Path("/proc")
_STATUS: Final = (
    "Name",
    "State",
    "Threads",
    "VmRSS",
    "VmHWM",
    "RssAnon",
    "VmSwap",
    "Uid",
    "NoNewPrivs",
    "Seccomp",
)


def registry_processes(data_directory: Path) -> list[int]:
    """Return the parent that the lock of the data directory names, and everything below it; empty when none runs."""
    try:
        parent = int((data_directory / RUN_DIRECTORY / "lock").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return []
    if not (_PROC / str(parent)).exists():
        return []
    found = [parent]
    for pid in found:  # grows while it is walked
        found.extend(_children(pid))
    return found


def describe_process(pid: int) -> dict[str, object]:
    """Return what is known of a process; what may not be asked is left out."""
    directory = _PROC / str(pid)
    facts: dict[str, object] = {"pid": pid, "command": _words(directory / "cmdline")}
    for line in _lines(directory / "status"):
        name, _, value = line.partition(":")
        if name in _STATUS:
            facts[name] = " ".join(value.split())
    facts["limits"] = _lines(directory / "limits")
    facts["cgroup"] = _lines(directory / "cgroup")
    facts["out_of_memory_score"] = "".join(_lines(directory / "oom_score"))
    facts["variables"] = sorted(word.partition("=")[0] for word in _words(directory / "environ"))
    try:
        facts["open_files"] = len(os.listdir(directory / "fd"))  # noqa: PTH208 - only their number is wanted
    except OSError as error:
        facts["open_files"] = f"not told: {error.strerror}"
    return facts


def _children(pid: int) -> list[int]:
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
        return [
            int(child) for thread in threads for child in (thread / "children").read_text("ascii").split()
        ]
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    try:
        return [word for word in path.read_bytes().decode("utf-8", "replace").split("\0") if word]
    except OSError:
        return []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
