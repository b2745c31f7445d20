"""Takes a listening socket away from the event loop of a server that has no call for "accept no more"."""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path

__all__ = ["withdraw_from_epoll"]


def withdraw_from_epoll(descriptor: int) -> int:
    """Remove `descriptor` from every epoll instance of this process; return from how many it was removed.

    What watches it sees no event of it any more: nothing is accepted, and connections stay in the kernel's queue for
    whoever else holds the socket. The descriptor stays open. Source: proc_pid_fdinfo(5), fields of epoll descriptors.
    """
    withdrawn_count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed in between, or two descriptors of one instance
            if entry.readlink().name != "anon_inode:[eventpoll]":
                continue
            if descriptor in _read_watched(Path("/proc/self/fdinfo") / entry.name):
                _unregister(int(entry.name), descriptor)
                withdrawn_count += 1
    return withdrawn_count


def _read_watched(fdinfo: Path) -> set[int]:
    lines = fdinfo.read_text("ascii").splitlines()
    return {int(line.split()[1]) for line in lines if line.startswith("tfd:")}


def _unregister(epoll: int, descriptor: int) -> None:
    with contextlib.closing(select.epoll.fromfd(os.dup(epoll))) as instance:
        instance.unregister(descriptor)
