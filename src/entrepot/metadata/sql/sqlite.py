"""The metadata store on a SQLite file: what one machine needs, with nothing to install."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from entrepot.metadata.errors import MetadataError, MetadataUnavailableError
from entrepot.metadata.sql.sqlite_connection import connect_for_writing, keep_open, translate_error
from entrepot.metadata.sql.sqlite_files import OpenFiles, log_of
from entrepot.metadata.sql.sqlite_reader import SqliteReader
from entrepot.metadata.sql.sqlite_turnstile import Turnstile
from entrepot.metadata.sql.sqlite_writer import SqliteWriter
from entrepot.metadata.sql.transaction import SqlReaders
from entrepot.metadata.unit_guard import run_guarded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from entrepot.metadata.sql.statements import StatementObserver
    from entrepot.metadata.store import Transaction

__all__ = ["SqliteMetadata"]

T = TypeVar("T")

_events: Any = structlog.get_logger()

_CHECKPOINT_BUSY_SECONDS: Final = 1.0
_OPENINGS: Final = 3
_RENAMING_SECONDS: Final = 1.0
_LARGE_LOG_BYTES: Final = 64 * 1024 * 1024
"""Beyond this the log is not only copied back but cut, which lets writers wait for a moment."""


class SqliteMetadata(SqlReaders):
    """Implements :class:`entrepot.metadata.store.Metadata`. Any number of processes may have the file open."""

    def __init__(
        self, path: Path, statement_timeout_seconds: float, observer: StatementObserver | None
    ) -> None:
        """Open a file whose schema is current. Blocks for as long as opening takes.

        Raises:
            MetadataUnavailableError: it can't be opened.
        """
        self._path = path
        self._log = log_of(path)
        self._files, self._writer, self._reader = _open(path, statement_timeout_seconds, observer)
        super().__init__(self._reader)
        self._closed = False

    async def write(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        """See the protocol."""
        return await run_guarded(self._writer.submit, unit)

    async def maintain(self) -> None:
        """Copy the log back into the file, and cut it when it has grown large; nothing where one of them was lost."""
        await asyncio.to_thread(self._checkpoint)

    async def write_ahead_log_bytes(self) -> int | None:
        """Return the size of the log file, 0 when there is none."""
        return await asyncio.to_thread(self._log_bytes)

    async def lost_file(self) -> str:
        """See the protocol: what the names of file and log lead to is asked for by `stat`."""
        return await asyncio.to_thread(self._files.find_lost)

    async def aclose(self) -> None:
        """See the protocol."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        connections = (*self._writer.stop(), *self._reader.stop())
        # First, so that hardly any time passes between the look and the removal of the log by whoever is last. A log
        # that has to be put aside is.
        with suppress(MetadataError):
            self._copy_back()
        is_lost = not self._files.may_be_closed()
        if is_lost:
            _events.warning("metadata.left_open", file=str(self._path))
        self._files.close()
        _part_with(connections, leave_open=is_lost)

    def _log_bytes(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def _checkpoint(self) -> None:
        self._copy_back(_LARGE_LOG_BYTES)

    def _copy_back(self, truncated_bytes: float = math.inf) -> None:
        """Copy the log back as far as nobody reads it, and cut one that is larger than `truncated_bytes`."""
        if self._files.find_lost(_RENAMING_SECONDS):
            return  # the log beside another file is the former one's, whose pages would be copied into this one
        connection = connect_for_writing(self._path, _CHECKPOINT_BUSY_SECONDS)
        if self._files.find_lost():
            keep_open(connection)  # it may lead to that other file
            return
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if self._log_bytes() > truncated_bytes:
                self._truncate_log(connection)
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error
        finally:
            connection.close()
            # What was put aside meanwhile is named after what the file was before it was written to.
            self._files.find_lost(_RENAMING_SECONDS)

    def _truncate_log(self, connection: sqlite3.Connection) -> None:
        turnstile = Turnstile(self._path)
        try:
            with turnstile.turn():
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            turnstile.close()


def _open(
    path: Path, statement_timeout_seconds: float, observer: StatementObserver | None
) -> tuple[OpenFiles, SqliteWriter, SqliteReader]:
    """Open all connections on one file and one log: what is exchanged meanwhile is opened anew.

    An overlay's file, too, becomes another one once it is opened for writing.

    Raises:
        MetadataUnavailableError: they can't be opened, or were exchanged each time.
    """
    for _ in range(_OPENINGS):
        files = OpenFiles(path)
        writer = SqliteWriter(path, observer, files.require_same)
        try:
            files.take_log()
            reader = SqliteReader(path, statement_timeout_seconds, observer)
            has_file, has_log = files.has_file(), files.has_log()
        except BaseException:
            writer.stop()
            files.close()
            raise
        if has_file and has_log:
            return files, writer, reader
        # On the same file they are closed: those that come would have the former log's index in common with them.
        _part_with((*writer.stop(), *reader.stop()), leave_open=not has_file)
        files.close()
    raise MetadataUnavailableError(
        f"{path} or its log was replaced or removed while it was being opened, {_OPENINGS} times over"
    )


def _part_with(connections: Iterable[sqlite3.Connection], *, leave_open: bool) -> None:
    for connection in connections:
        if leave_open:
            keep_open(connection)
        else:
            connection.close()
