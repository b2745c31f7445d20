"""How a SQLite file is opened, and what its errors mean."""

from __future__ import annotations

import ctypes
import errno
import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from entrepot.kernel.durable_directories import sync_directory
from entrepot.metadata.errors import MetadataError, MetadataFullError, MetadataUnavailableError
from entrepot.metadata.sql.sqlite_files import require_no_log_alone

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "connect_for_reading",
    "connect_for_reading_at_once",
    "connect_for_writing",
    "create_private_file",
    "is_busy",
    "is_interrupted",
    "keep_open",
    "translate_error",
]

_PRIMARY_CODE_MASK: Final = 0xFF
_CACHED_STATEMENTS: Final = 256
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -8192",  # 8 MiB
    # A checkpoint in a request would make that one request pay for thousands; the background worker does them.
    "PRAGMA wal_autocheckpoint = 0",
)

_CONDITIONS: Final = {
    sqlite3.SQLITE_BUSY: "another process holds its lock for too long",
    sqlite3.SQLITE_LOCKED: "it is locked",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_READONLY: "the file or its volume is read-only",
    sqlite3.SQLITE_INTERRUPT: "a statement was interrupted",
    sqlite3.SQLITE_IOERR: "the disk reported an error",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened",
    sqlite3.SQLITE_PROTOCOL: "its locks are contended too hard",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
    sqlite3.SQLITE_PERM: "access to the file is not permitted",
}
"""Primary result codes of SQLite (sqlite.org/rescode.html) that say something of the file, not of our statement."""


_LOG_CUT: Final = (
    "its log is shorter than the log's index says: it was removed or cut; a registry that has it open copies a removed "
    "one back within seconds"
)
"""What a short read means. Of the file itself SQLite takes what is missing for zeros, so only its log can be too short,
and no disk failed."""

_NO_TABLE: Final = "no such table"
"""What SQLite says, under no code of its own; every table of a statement is one of the schema, so it was dropped."""


def create_private_file(path: Path) -> None:
    """Create `path` empty and readable by its owner only, unless it exists; SQLite gives its log the same mode.

    One that exists is not opened: to close it would end the locks on it of all connections that this process has.

    Raises:
        MetadataUnavailableError: the file system doesn't let us.
    """
    real = path.resolve()  # as a link that leads nowhere counts as a file that exists
    try:
        with suppress(FileExistsError):
            os.close(os.open(real, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        sync_directory(real.parent)
    except OSError as error:
        if error.errno == errno.EROFS and path.exists():
            return  # there is nothing to make durable, and reads go on (F9)
        raise MetadataUnavailableError(f"{path}: {error.strerror}") from error


def connect_for_reading(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    """Open the file for statements that change nothing.

    Raises:
        MetadataUnavailableError: it can't be opened.
    """
    connection = _connect(path, busy_timeout_seconds)
    connection.execute("PRAGMA query_only = ON")
    return connection


def connect_for_reading_at_once(path: Path, opening_seconds: float) -> sqlite3.Connection:
    """Open the file for statements that change nothing and wait for no lock, as the event loop may not.

    Opening does wait, for at most `opening_seconds`: whoever closes the file last, or opens it first after a crash,
    holds all of it for a moment, to copy its log back or to read it anew (sqlite.org/wal.html, section 9).

    Raises:
        MetadataUnavailableError: it can't be opened.
    """
    connection = connect_for_reading(path, opening_seconds)
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


def connect_for_writing(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    """Open the file for units: each COMMIT is on the disk before it returns.

    Raises:
        MetadataUnavailableError: it can't be opened.
    """
    return _connect(path, busy_timeout_seconds)


def keep_open(connection: sqlite3.Connection) -> None:
    """Keep SQLite from ever closing a connection, at the end of Python either: by a reference that nobody gives back.

    Whoever closes a file last copies its log back and removes what has the log's name. Whether its file is there still
    SQLite asks by the inode alone, which a snapshot of the volume has as well. The kernel closes files and locks.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether the same statement may succeed in a moment."""
    return _primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_interrupted(error: sqlite3.Error) -> bool:
    """Tell whether a progress handler ended the statement."""
    return _primary_code(error) == sqlite3.SQLITE_INTERRUPT


def translate_error(error: sqlite3.Error, path: Path) -> MetadataError:
    """Return what an error of the library means to callers of the store."""
    condition = _CONDITIONS.get(_primary_code(error))
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_SHORT_READ:
        condition = _LOG_CUT
    if str(error).startswith(_NO_TABLE):
        condition = "the file holds no registry, or a part of one"
    if condition is None:
        return MetadataError(f"SQLite refused a statement: {error}")
    name = getattr(error, "sqlite_errorname", "no error name")
    kind = MetadataFullError if _primary_code(error) == sqlite3.SQLITE_FULL else MetadataUnavailableError
    return kind(f"{path}: {condition} ({name}: {error})")


def _primary_code(error: sqlite3.Error) -> int:
    code = getattr(error, "sqlite_errorcode", None)
    return code & _PRIMARY_CODE_MASK if isinstance(code, int) else sqlite3.SQLITE_ERROR


def _connect(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    require_no_log_alone(path)
    try:
        # Transactions are begun by us; the connection may be closed on another thread than the one that uses it.
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            timeout=busy_timeout_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
    try:
        _configure(connection)
    except sqlite3.Error as error:
        connection.close()
        raise translate_error(error, path) from error
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma).fetchall()
