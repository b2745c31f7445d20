"""Where the processes of a node keep the values of their metrics, for the ops listener to add up: in memory.

The values are files that each process maps. On a full disk the kernel would end a process that touches a new page of
its file (SIGBUS), and pulls with it; on a slow one it would hold up the event loop while it writes a page back (F5,
F8).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

__all__ = ["prepare_metrics_directory", "remove_metrics_directory"]

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # shared memory is meant, and the name below it is checked
_FALLBACK: Final = "metrics"
_LEAST_FREE_BYTES: Final = 16 * 1024 * 1024
"""Containers often have no more than 64 MiB; the files of all processes take about one."""


def prepare_metrics_directory(run_directory: Path, memory: Path = _MEMORY) -> Path:
    """Return an empty directory of our own: values of an earlier run would be summed into this one's figures.

    It is below `memory` and named after the identity of `run_directory`, so that the next start finds what a kill left.
    Where there is no such memory, too little of it, or somebody else's directory in our place, it is `<run>/metrics`.

    Raises:
        OSError: that can't be made either.
    """
    identity = run_directory.stat()
    in_memory = memory / f"entrepot-metrics-{identity.st_dev:x}-{identity.st_ino:x}"
    if _has_room(memory):
        with contextlib.suppress(OSError):
            return _make_empty(in_memory)
    return _make_empty(run_directory / _FALLBACK)


def remove_metrics_directory(directory: Path) -> None:
    """Give the memory back; what can't be removed is found by the next start."""
    shutil.rmtree(directory, ignore_errors=True)


def _has_room(memory: Path) -> bool:
    try:
        status = os.statvfs(memory)
    except OSError:
        return False
    return memory.is_mount() and status.f_bavail * status.f_frsize >= _LEAST_FREE_BYTES


def _make_empty(directory: Path) -> Path:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)  # refuses a symbolic link, and what belongs to others
    directory.mkdir(mode=0o700)
    return directory
