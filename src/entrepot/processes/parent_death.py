"""Ties a child's life to its parent's through the kernel, since a parent that was killed can't clean up."""

from __future__ import annotations

import ctypes
import os
import signal

from entrepot.kernel.library_calls import call_library

__all__ = ["die_with_parent", "name_process"]

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
"""Both from <linux/prctl.h>; see prctl(2)."""
_MAX_NAME_BYTES = 15


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel send SIGKILL to this process when `parent_pid` ends; end at once if it already has.

    SIGKILL and not SIGTERM: an orphan that still drains would hold the port and the lock against the next start, and
    every write is made to survive exactly this. The signal follows the *thread* that started us: the parent starts
    children from its main thread only.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if (
        os.getppid() != parent_pid
    ):  # it died between our start and the call above: nobody will tell us any more
        os.kill(os.getpid(), signal.SIGKILL)


def name_process(name: str) -> None:
    """Set the name that ps and top show, cut to 15 bytes."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:_MAX_NAME_BYTES]))


def _prctl(option: int, argument: int | ctypes.c_char_p) -> None:
    call_library("prctl", option, argument, 0, 0, 0)
