"""A fair queue of writer processes: SQLite's own lock is polled with growing pauses, so one of two writers starves."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["Turnstile", "open_lock_file"]


class Turnstile:
    """Two advisory locks beside the database, taken one after the other, both without polling.

    Whoever writes holds `<db>.writer`; whoever is next holds `<db>.turnstile` and waits. A process that has just
    written must pass the turnstile again, which is occupied by the one that waited: they alternate. The locks belong
    to open files, so the kernel drops them when a process dies.
    """

    def __init__(self, database: Path) -> None:
        """Open, and if need be create, the two lock files.

        Raises:
            MetadataUnavailableError: they can't be opened.
        """
        self._gate = open_lock_file(database, ".turnstile")
        try:
            self._writer = open_lock_file(database, ".writer")
        except BaseException:
            os.close(self._gate)
            raise

    @contextmanager
    def turn(self) -> Generator[None]:
        """Wait for the turn of this process, as long as it takes, and keep it within the block."""
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._writer, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._writer, fcntl.LOCK_UN)

    def is_wanted(self) -> bool:
        """Whether another process waits for the turn that this one has."""
        try:
            fcntl.flock(self._gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._gate, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Close both files."""
        os.close(self._gate)
        os.close(self._writer)


def open_lock_file(database: Path, suffix: str) -> int:
    """Open a file that is only ever locked, so that reading it is enough where the volume has turned read-only (F9).

    Raises:
        MetadataUnavailableError: it can't be opened or made.
    """
    path = database.with_name(f"{database.name}{suffix}")
    try:
        if os.geteuid() == 0:
            with suppress(FileExistsError):
                return _create_for_owner(database, path)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.EROFS and path.exists():
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        raise MetadataUnavailableError(f"{path}: {error.strerror}") from error


def _create_for_owner(database: Path, path: Path) -> int:
    """Give the database's owner what root makes, as SQLite does with the log: a registry of that user opens it next.

    Only what is new: a link that lies there may lead to anybody's file.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # there may be no file yet, or root may not give files away
        owner = database.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor
