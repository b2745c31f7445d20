"""Which files a store has open by their names, and what becomes of a log whose file was replaced under it (F47).

SQLite knows a log by its name only. Beside another file than its own it is replayed into that one all the same, page by
page, and damages it; beside none, whoever makes a new file begins with it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OpenFiles", "log_of", "require_no_log_alone"]


def log_of(path: Path) -> Path:
    """Return where the write-ahead log of a database's file lies."""
    return path.with_name(f"{path.name}-wal")


def require_no_log_alone(path: Path) -> None:
    """Refuse to make a database where one was: a log without its file. Blocks.

    Raises:
        MetadataUnavailableError: the file is missing, and a log lies there; or it can't be told.
    """
    if _identity_of(path) is None and _identity_of(log_of(path)) is not None:
        raise MetadataUnavailableError(
            f"{path} is missing, though its log {log_of(path).name} is there: put the file back; if a new database is "
            f"meant, or another copy will come, move the log and {path.name}-shm away first"
        )


class OpenFiles:
    """The file and the log that a store has open. Blocks; any thread may ask."""

    def __init__(self, path: Path) -> None:
        """Take the file that has this name now; its connections must be open."""
        self._path = path
        self._log = log_of(path)
        self._file = _identity_of(path)
        self._own_log: tuple[int, int] | None = None

    def find_lost(self) -> str:
        """Return which of both is another one by now, or none; an empty text as long as they are the same.

        The log is known from the first time on. A connection must have read by then, and be open still: no other
        process removes the log from then on. Where the file was replaced, the log is put out of the new one's way, and
        comes back with the former file.

        Raises:
            MetadataUnavailableError: it can't be told.
        """
        present, log = _identity_of(self._path), _identity_of(self._log)
        if present != self._file:
            if present is not None and log is not None and log == self._own_log:
                self._move_log("", f".of-{log[1]}", ("-wal", "-shm"))
            return str(self._path)
        if self._own_log is None:
            self._own_log = log
        elif log is None:
            self._move_log(f".of-{self._own_log[1]}", "", ("-shm", "-wal"))
            log = _identity_of(self._log)
        return "" if log == self._own_log else str(self._log)

    def _move_log(self, before: str, after: str, suffixes: tuple[str, str]) -> None:
        """Rename the log, which whoever has it open goes on with, and what goes with it.

        For a moment only what goes with it has its name, which tells whoever opens the file then of pages that are not
        there, and fails. The log alone would be replayed.
        """
        for suffix in suffixes:
            name = f"{self._path.name}{suffix}"
            with suppress(OSError):  # another process was first, or nothing can be written here
                self._path.with_name(name + before).rename(self._path.with_name(name + after))


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Return which file has this name, by device and inode; `None` when there is none.

    Raises:
        MetadataUnavailableError: it can't be told.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MetadataUnavailableError(f"{path}: {error.strerror}") from error
    return found.st_dev, found.st_ino
