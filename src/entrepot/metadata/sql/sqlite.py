"""The metadata store on a SQLite file: what one machine needs, with nothing to install."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final, TypeVar

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.sqlite_connection import connect_for_writing, translate_error
from entrepot.metadata.sql.sqlite_files import OpenFiles, log_of
from entrepot.metadata.sql.sqlite_reader import SqliteReader
from entrepot.metadata.sql.sqlite_turnstile import Turnstile
from entrepot.metadata.sql.sqlite_writer import SqliteWriter
from entrepot.metadata.sql.transaction import SqlReaders
from entrepot.metadata.unit_guard import run_guarded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from entrepot.metadata.sql.statements import StatementObserver
    from entrepot.metadata.store import Transaction

__all__ = ["SqliteMetadata"]

T = TypeVar("T")

_CHECKPOINT_BUSY_SECONDS: Final = 1.0
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
        self._reader = SqliteReader(path, statement_timeout_seconds, observer)
        self._writer = SqliteWriter(path, observer, self._require_files)
        super().__init__(self._reader)
        self._closed = False
        # After the connections, as an overlay's file becomes another one once it is opened for writing.
        self._files = OpenFiles(path)
        self._has_read = False

    async def write(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        """See the protocol."""
        return await run_guarded(self._writer.submit, unit)

    async def maintain(self) -> None:
        """Copy the log back into the file, and cut it when it has grown large; nothing where one of them was lost."""
        await self._read_once()
        await asyncio.to_thread(self._checkpoint)

    async def write_ahead_log_bytes(self) -> int | None:
        """Return the size of the log file, 0 when there is none."""
        return await asyncio.to_thread(self._log_bytes)

    async def lost_file(self) -> str:
        """See the protocol: what the names of file and log lead to is asked for by `stat`."""
        await self._read_once()
        return await asyncio.to_thread(self._files.find_lost)

    async def aclose(self) -> None:
        """See the protocol."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._close)

    async def _read_once(self) -> None:
        """Read, so that a connection has the log open, before anybody asks for its name."""
        if not self._has_read:
            await self.instance.ping()
            self._has_read = True

    def _require_files(self) -> None:
        """Refuse to commit what nobody would find again (F47). Within a transaction, so that the log is open.

        Raises:
            MetadataUnavailableError: file or log are others by now.
        """
        if lost := self._files.find_lost():
            raise MetadataUnavailableError(
                f"{lost} was replaced or removed under this process, and what lay there before is written no more"
            )

    def _close(self) -> None:
        self._writer.close()
        self._reader.close()
        self._files.close()

    def _log_bytes(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def _checkpoint(self) -> None:
        if self._files.find_lost():
            return  # the log beside another file is the former one's, whose pages would be copied into this one
        connection = connect_for_writing(self._path, _CHECKPOINT_BUSY_SECONDS)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if self._log_bytes() > _LARGE_LOG_BYTES:
                self._truncate_log(connection)
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error
        finally:
            connection.close()

    def _truncate_log(self, connection: sqlite3.Connection) -> None:
        turnstile = Turnstile(self._path)
        try:
            with turnstile.turn():
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            turnstile.close()
