"""The metadata store on a SQLite file: what one machine needs, with nothing to install."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from entrepot.metadata.errors import MetadataError, MetadataUnavailableError
from entrepot.metadata.sql.sqlite_connection import keep_open
from entrepot.metadata.sql.sqlite_copying import LogCopier
from entrepot.metadata.sql.sqlite_files import OpenFiles, take_back_log
from entrepot.metadata.sql.sqlite_reader import SqliteReader
from entrepot.metadata.sql.sqlite_writer import SqliteWriter
from entrepot.metadata.sql.transaction import SqlReaders
from entrepot.metadata.unit_guard import run_guarded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from entrepot.metadata.sql.statements import StatementObserver
    from entrepot.metadata.store import Transaction

__all__ = ["SqliteMetadata"]

T = TypeVar("T")

_events: Any = structlog.get_logger()

_OPENINGS: Final = 3
_RENAMING_SECONDS: Final = 1.0
_LARGE_LOG_BYTES: Final = 64 * 1024 * 1024
"""Beyond this the log is not only copied back but cut, which lets writers wait for a moment."""

_spoilt: Final[set[Path]] = set()
"""Files that were replaced between two connections of an opening. This process opens them no more: those left open may
lead to the new file with the former one's log, and SQLite shares its index between all connections of a process."""


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
        self._files, self._copier, self._writer, self._reader = _open(
            path, statement_timeout_seconds, observer
        )
        super().__init__(self._reader, self._reader.searches)
        self._closed = False

    async def write(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        """See the protocol."""
        return await run_guarded(self._writer.submit, unit)

    async def maintain(self) -> None:
        """Copy the log back into the file, and cut it when it has grown large; nothing where one of them was lost."""
        await asyncio.to_thread(self._copier.copy_back, _LARGE_LOG_BYTES)

    async def write_ahead_log_bytes(self) -> int | None:
        """Return the size of the log file, 0 when there is none."""
        return await asyncio.to_thread(self._copier.log_bytes)

    async def lost_file(self) -> str:
        """See the protocol: what the names of file and log lead to is asked for by `stat`."""
        return await asyncio.to_thread(self._copier.find_lost)

    async def aclose(self) -> None:
        """See the protocol."""
        if not self._closed:
            self._closed = True
            self._reader.forget()
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        connections = (*self._writer.stop(), *self._reader.stop(), *self._copier.stop())
        # First, so that hardly any time passes between the look and the removal of the log by whoever is last. A log
        # that has to be put aside is.
        with suppress(MetadataError):
            self._copier.copy_back()
        is_lost = not self._files.may_be_closed()
        if is_lost:
            _events.warning("metadata.left_open", file=str(self._path))
        self._files.close()
        _part_with(connections, leave_open=is_lost)


def _open(
    path: Path, statement_timeout_seconds: float, observer: StatementObserver | None
) -> tuple[OpenFiles, LogCopier, SqliteWriter, SqliteReader]:
    """Open all connections on one file and one log: where the log is exchanged meanwhile, they are opened anew.

    So they are where the file is another one after the first: an overlay's is, once it is opened for writing.

    Raises:
        MetadataUnavailableError: they can't be opened, or were exchanged.
    """
    if path in _spoilt:
        raise _exchanged(path)
    for _ in range(_OPENINGS):
        take_back_log(path)
        files = OpenFiles(path)
        opened: list[LogCopier | SqliteWriter | SqliteReader] = []
        is_known = False
        try:
            opened.append(copier := LogCopier(path, files))
            if is_known := files.has_file():
                files.take_log()
                opened.append(writer := SqliteWriter(path, observer, copier.require_same))
                opened.append(reader := SqliteReader(path, statement_timeout_seconds, observer))
                if files.has_file() and files.has_log():
                    return files, copier, writer, reader
        except BaseException:
            _give_up(path, files, opened, is_known=is_known)
            raise
        _give_up(path, files, opened, is_known=is_known)
        if path in _spoilt:
            break
    raise _exchanged(path)


def _give_up(
    path: Path,
    files: OpenFiles,
    opened: list[LogCopier | SqliteWriter | SqliteReader],
    *,
    is_known: bool,
) -> None:
    """Undo an opening. Where the file is another one since the first connection, its log is put aside."""
    connections = [connection for part in opened for connection in part.stop()]
    has_file = False
    with suppress(MetadataError):
        has_file = files.has_file()
        if is_known and not has_file:
            files.find_lost(_RENAMING_SECONDS)
    if is_known and not has_file:
        _spoilt.add(path)
    files.close()
    # On the same file they are closed: those that come would have the former log's index in common with them.
    _part_with(connections, leave_open=not has_file)


def _exchanged(path: Path) -> MetadataUnavailableError:
    return MetadataUnavailableError(
        f"{path} or its log was replaced or removed while it was being opened: start this process again"
    )


def _part_with(connections: Iterable[sqlite3.Connection], *, leave_open: bool) -> None:
    for connection in connections:
        if leave_open:
            keep_open(connection)
        else:
            connection.close()
