"""The file that the first administrator's random password lies in, until its owner has read it.

It is written before the row that it opens, so that a crash between the two leaves a password that the next start uses
again (F46). Processes that start at once on one data directory find the same one in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from typing import TYPE_CHECKING, Final

from entrepot.kernel.durable_directories import create_directory, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ADMIN_PASSWORD_FILE", "keep_password", "read_password", "remove_password"]

ADMIN_PASSWORD_FILE: Final = "secrets/admin-password"  # noqa: S105  # a path
"""Below the data directory."""

_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_LONGEST: Final = 256


def keep_password(path: Path, fresh: str) -> str:
    """Make a password durable in `path` and return it: the one that is there, else `fresh`. Blocks.

    One that others could have read, or that nobody finished writing, is replaced.

    Raises:
        OSError: it can't be written, or not be made durable.
    """
    create_directory(path.parent, _DIRECTORY_MODE)
    path.parent.chmod(_DIRECTORY_MODE)
    with _alone_in(path.parent):
        present = read_password(path)
        if not present:
            staged = path.with_name(f".{path.name}.new")
            staged.unlink(missing_ok=True)  # of somebody who was killed
            _write_durably(staged, fresh)
            staged.rename(path)
        sync_directory(
            path.parent
        )  # also for a file that is there: its writer may have been killed before this
    return present or fresh


def read_password(path: Path) -> str:
    """Return the password of a file that only this process's user can have read; empty when there is none. Blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            return ""
        content = file.read(_LONGEST)
    line, newline, _ = content.partition(b"\n")
    return line.decode("ascii", "ignore") if newline else ""


def remove_password(path: Path, password: str) -> None:
    """Remove the file if it holds this password, which opens nothing. Blocks.

    Raises:
        OSError: it can't be removed.
    """
    present = read_password(path)
    if present and secrets.compare_digest(present.encode(), password.encode()):
        path.unlink(missing_ok=True)
        sync_directory(path.parent)


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, so that those who start at once find one password."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_durably(path: Path, password: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{password}\n")
        file.flush()
        os.fsync(descriptor)
