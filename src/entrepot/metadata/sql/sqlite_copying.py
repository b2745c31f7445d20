"""Copies SQLite's log back into the file, by a connection that is opened with the store and leads to both for good."""

from __future__ import annotations

import math
import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import MetadataError, MetadataUnavailableError
from entrepot.metadata.sql.sqlite_connection import connect_for_writing, translate_error
from entrepot.metadata.sql.sqlite_files import log_of
from entrepot.metadata.sql.sqlite_turnstile import Turnstile

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from entrepot.metadata.sql.sqlite_files import OpenFiles

__all__ = ["LogCopier"]

_OPENING_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 1.0


class LogCopier:
    """Looks after the log of a store. Blocks; any thread may ask."""

    def __init__(self, path: Path, files: OpenFiles) -> None:
        """Open the file.

        Raises:
            MetadataUnavailableError: it can't be opened.
        """
        self._path = path
        self._log = log_of(path)
        self._files = files
        self._turn = threading.Lock()
        self._connection = connect_for_writing(path, _OPENING_SECONDS)
        self._connection.execute("PRAGMA busy_timeout = 1000")  # milliseconds, to cut a log

    def stop(self) -> Sequence[sqlite3.Connection]:
        """Return the connection, which is the caller's to close."""
        return (self._connection,)

    def log_bytes(self) -> int:
        """Return the size of the log file, 0 when there is none."""
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def find_lost(self, patience_seconds: float = 0.0) -> str:
        """Do as :meth:`.OpenFiles.find_lost`, and copy back a log that was removed: its units were acknowledged.

        At once, not at the end: by then somebody may have made another log and written to it.

        Raises:
            MetadataUnavailableError: it can't be told.
        """
        lost = self._files.find_lost(patience_seconds)
        if lost:
            self._save_removed_log(patience_seconds)
        return lost

    def require_same(self) -> None:
        """Refuse to commit what nobody would find again (F47).

        Raises:
            MetadataUnavailableError: file or log are others by now, or it can't be told.
        """
        if lost := self.find_lost():
            raise MetadataUnavailableError(
                f"{lost} was replaced or removed under this process, and what lay there before is written no more"
            )

    def copy_back(self, truncated_bytes: float = math.inf) -> None:
        """Copy the log back as far as nobody reads it, and cut one that is larger than `truncated_bytes`.

        Not while somebody reads what is older than its newest unit, as a search or a verification does for minutes:
        SQLite would wait for that in vain, and all writers with it, as it does so in their turn.

        Raises:
            MetadataError: it can't be done, or not be told whether it may be.
        """
        if self.find_lost(_PATIENCE_SECONDS):
            return  # nothing is written to a file whose log is aside
        with self._alone(_PATIENCE_SECONDS) as is_let_in:
            if not is_let_in:
                return
            try:
                if self._copy() and self.log_bytes() > truncated_bytes:
                    self._truncate_log()
            except sqlite3.Error as error:
                raise translate_error(error, self._path) from error
            finally:
                # What was put aside meanwhile is named after what the file was before it was written to.
                self._files.find_lost(_PATIENCE_SECONDS)

    def _save_removed_log(self, patience_seconds: float) -> None:
        """Copy back what has no name any more; the next look does it where somebody reads or the disk fails."""
        with self._alone(patience_seconds) as is_let_in, suppress(MetadataError, sqlite3.Error):
            if is_let_in and self._files.is_log_removed():
                self._copy()

    def _copy(self) -> bool:
        """Copy as far as nobody reads, and tell whether that is all of it."""
        ((_, pages, copied),) = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return bool(pages == copied)

    def _truncate_log(self) -> None:
        turnstile = Turnstile(self._path)
        try:
            with turnstile.turn():
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            turnstile.close()

    @contextmanager
    def _alone(self, patience_seconds: float) -> Generator[bool]:
        """Keep other threads from the connection, unless one has it for longer, whom the writers' turn may keep."""
        is_let_in = self._turn.acquire(timeout=patience_seconds)
        try:
            yield is_let_in
        finally:
            if is_let_in:
                self._turn.release()
