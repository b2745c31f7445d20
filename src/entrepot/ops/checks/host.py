"""Checks of the machine itself: interpreter, SQLite library, clock, limit of open files."""

from __future__ import annotations

import ctypes
import platform
import resource
import sqlite3
import sys
import time

from entrepot.ops.checks.finding import Finding, failed, passed, warned

__all__ = [
    "check_clock",
    "check_descriptor_limit",
    "check_python",
    "check_sqlite",
    "judge_clock",
    "judge_descriptor_limit",
    "judge_sqlite",
    "read_clock_state",
]

_OLDEST_PYTHON = (3, 11)
_OLDEST_SQLITE = (3, 40, 0)
_FEWEST_DESCRIPTORS = 1024
_ENOUGH_DESCRIPTORS = 16384
_RELEASED_SECONDS = 1793491200  # 2026-11-01: no clock that is right shows an earlier day
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # more than any libc's struct timex


def check_python() -> Finding:
    """Check the version of the interpreter."""
    version = platform.python_version()
    if sys.version_info < _OLDEST_PYTHON:
        return failed("python", f"Python {version} is too old", "Install Python 3.11 or newer.")
    return passed("python", f"Python {version}")


def check_sqlite() -> Finding:
    """Check the SQLite library this interpreter is linked to."""
    return judge_sqlite(sqlite3.sqlite_version_info)


def judge_sqlite(version: tuple[int, int, int]) -> Finding:
    """Judge a version of the SQLite library."""
    text = ".".join(str(part) for part in version)
    if version < _OLDEST_SQLITE:
        remedy = (
            "Install a Python linked to SQLite 3.40 or newer, or set metadata.url to a PostgreSQL database."
        )
        return failed("sqlite", f"SQLite {text} is too old", remedy)
    return passed("sqlite", f"SQLite {text}")


def check_clock() -> Finding:
    """Check that the clock is plausible and kept right by somebody."""
    seconds = time.time()  # noqa: TID251 - this machine's own clock is what is being judged
    return judge_clock(seconds, synchronised=read_clock_state() != _TIME_ERROR)


def read_clock_state() -> int:
    """Return the kernel's view of its clock as adjtimex(2) does, 0 where it can't be asked."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):  # a libc without it
        return 0
    return max(0, int(adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))))


def judge_clock(seconds: float, *, synchronised: bool) -> Finding:
    """Judge the time since 1970 and whether the kernel believes it synchronised."""
    day = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    if seconds < _RELEASED_SECONDS:
        remedy = "Set the clock: certificates, leases of uploads and the log depend on it."
        return failed("clock", f"the clock shows {day} UTC, which is past", remedy)
    if not synchronised:
        remedy = "Run chrony or systemd-timesyncd on this machine (on the host, if this is a container)."
        return warned("clock", f"the clock shows {day} UTC, and nothing keeps it right", remedy)
    return passed("clock", f"the clock shows {day} UTC and is kept right")


def check_descriptor_limit() -> Finding:
    """Check how many files and connections a process may have open."""
    return judge_descriptor_limit(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def judge_descriptor_limit(hard_limit: int) -> Finding:
    """Judge the hard limit, to which the registry raises itself at its start."""
    if hard_limit == resource.RLIM_INFINITY or hard_limit >= _ENOUGH_DESCRIPTORS:
        return passed(
            "open-files", f"up to {hard_limit} open files" if hard_limit > 0 else "no limit of open files"
        )
    message = f"at most {hard_limit} files and connections may be open"
    remedy = f"Raise the limit to {_ENOUGH_DESCRIPTORS} or more (LimitNOFILE= in systemd, --ulimit nofile= in Docker)."
    if hard_limit < _FEWEST_DESCRIPTORS:
        return failed("open-files", message, remedy)
    return warned("open-files", message, remedy)
