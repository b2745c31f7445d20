"""Which files a store has open by their names, and what becomes of a log whose file was replaced under it (F47).

SQLite knows a log by its name only. Beside another file than its own it is replayed into that one all the same, page by
page, and damages it; beside none, whoever makes a new file begins with it. So the log of a file that was replaced is
put aside, under a name that says whose it is, and comes back with its file: it holds the newest units of that.

The log's index says which units it has, and holds the locks. Where only that is removed, whoever opens the file makes
another one of the same log, and neither side sees what the other appends: both write to the same place of it.
"""

from __future__ import annotations

import fcntl
import glob
import os
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.sqlite_log_marks import LogMark

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["ASIDE_REMEDY", "OpenFiles", "log_of", "logs_aside", "require_no_log_alone", "take_back_log"]

_LOG: Final = "-wal"
_INDEX: Final = "-shm"
"""What goes with the log. Where only this has its name, whoever opens the file is told of pages that are not there, and
fails; the log alone would be replayed. So it goes last and comes back first."""

_ASIDE: Final = ".of-"

ASIDE_REMEDY: Final = (
    "it has the newest changes of a file of that size and time (nanoseconds), which does not lie there: if that file "
    "is meant, stop the registry and put it back by mv or cp -p; if only its time was changed, as by tar, and nothing "
    "has opened it since, give it that back before the start (touch -d @SECONDS.NANOSECONDS); if it is not wanted, "
    "remove the log and its -shm.of-…"
)
"""What an operator does about a log that stays aside."""

_PATIENCE_SECONDS: Final = 30.0
"""How long who starts waits for others that rename, which takes them milliseconds."""
_PAUSE_SECONDS: Final = 0.05
_DYING_SECONDS: Final = 1.0
"""How long those count that have another log: who has been killed counts for a moment."""


def log_of(path: Path) -> Path:
    """Return where the write-ahead log of a database's file lies: beside what a symbolic link leads to."""
    real = path.resolve()
    return real.with_name(f"{real.name}{_LOG}")


def logs_aside(path: Path) -> list[Path]:
    """Return the logs that were put aside for a database's file, most of another file than the one that lies there."""
    log = log_of(path)
    return sorted(log.parent.glob(f"{glob.escape(log.name)}{_ASIDE}*"))


def require_no_log_alone(path: Path) -> None:
    """Refuse to make a database where one was: a log without its file, or one that was put aside. Blocks.

    SQLite removes a log that lies beside an empty file, and writes none there itself.

    Raises:
        MetadataUnavailableError: the file is missing or empty, and a log lies there; or it can't be told.
    """
    if _has_content(path):
        return
    log = log_of(path)
    alone = log if _identity_of(log) is not None else next(iter(logs_aside(path)), None)
    if alone is None or _has_content(path):
        return  # another process may be making both: its file comes first
    away = f"move all of {log.name}* and {path.name}{_INDEX}* away first"
    remedy = f"put the file back; if another copy will come, or a new database is meant, {away}"
    if alone != log:
        remedy = f"put the file back by mv or cp -p, or another copy of the database; if a new one is meant, {away}"
    raise MetadataUnavailableError(f"{path} is missing or empty, though its log {alone} is there: {remedy}")


def take_back_log(path: Path) -> None:
    """Give a log that was put aside its name again where its file was put back. Before anybody opens the file; blocks.

    Raises:
        MetadataUnavailableError: another log lies beside the file, or other processes have this one open with another
            file, or the files can't be looked at or renamed, or somebody keeps a lock on the directory.
    """
    real, log = path.resolve(), log_of(path)
    mark = _mark_at(real)
    aside = log.with_name(log.name + mark)
    if not mark or _identity_of(aside) is None:
        return
    _require_no_other_file(path, real)
    with _turn(real.parent, _PATIENCE_SECONDS) as is_let_in:
        if not is_let_in:
            raise MetadataUnavailableError(
                f"{aside.name} is the log of {path} and can't be renamed: for {_PATIENCE_SECONDS:g} s another program "
                f"has had a lock (flock) on the directory {real.parent}"
            )
        if _identity_of(aside) is None:
            return  # who was first has done it
        if _identity_of(log) is not None:
            raise MetadataUnavailableError(
                f"{aside.name} has the newest changes of {path}, and another log, {log.name}, lies beside it: "
                "stop the registry and move the one away that is not this file's"
            )
        _rename_back(real, mark)
    if _identity_of(log) is None:
        raise MetadataUnavailableError(
            f"{aside.name} is the log of {path} and can't be renamed to {log.name}"
        )


def _require_no_other_file(path: Path, real: Path) -> None:
    """Refuse a log that others have open with a file that had this name; a copy of that is another one.

    Log and index would belong to two files. What is copied back into the one counts as copied back for the other, and
    those who read that find what was true before.
    """
    with closing(LogMark(real)) as mark:
        own = _identity_of(real)
        if own is not None and not mark.has_no_other_file(own[1], _DYING_SECONDS):
            raise MetadataUnavailableError(
                f"other processes have the file open that lay at {path} before, and {path} is a copy of it: stop the "
                "registry, and start it again"
            )


class OpenFiles:
    """The file and the log that a store has open. Blocks; any thread may ask."""

    def __init__(self, path: Path) -> None:
        """Take the file that has this name now, before the first connection is opened.

        Raises:
            MetadataUnavailableError: it can't be told which it is.
        """
        self._path = path
        self._real = path.resolve()
        self._log = log_of(path)
        self._index = self._real.with_name(f"{self._real.name}{_INDEX}")
        self._own_log: tuple[int, int] | None = None
        self._own_index: tuple[int, int] | None = None
        try:
            # Only to know the file: to close one that can be read would end SQLite's locks on it.
            self._descriptor = os.open(self._real, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            raise MetadataUnavailableError(f"{path}: {error.strerror}") from error
        found = os.fstat(self._descriptor)
        self._file = found.st_dev, found.st_ino
        try:
            self._log_mark = LogMark(self._real)
        except BaseException:
            os.close(self._descriptor)
            raise

    def take_log(self) -> None:
        """Take log and index, once the first connection has them open: no other process removes them from then on.

        Raises:
            MetadataUnavailableError: other processes have this file open with another one of both, which was removed or
                replaced under them: they and this one would not see each other's units, and damage the file. Or it
                can't be told which they are.
        """
        self._own_log, self._own_index = _identity_of(self._log), _identity_of(self._index)
        if self._own_log is not None and not self._log_mark.set_alone(
            self._file[1], self._own_log[1], self._own_index[1] if self._own_index else 0, _DYING_SECONDS
        ):
            raise MetadataUnavailableError(
                f"other processes have {self._path} open with a log that is not {self._log.name} any more, or with "
                f"another index of it than {self._index.name}: one of both was removed or replaced under them; stop "
                "the registry, which then copies back what a removed log holds, and start it again"
            )

    def close(self) -> None:
        """Let go of the file; before the connections, as whoever comes once they are closed makes another log."""
        os.close(self._descriptor)
        self._log_mark.close()

    def has_file(self) -> bool:
        """Whether the file is the same still; nothing is renamed.

        Raises:
            MetadataUnavailableError: it can't be told.
        """
        return _identity_of(self._path) == self._file

    def has_log(self) -> bool:
        """Whether there is a log, and it and its index are the same still; nothing is renamed.

        Raises:
            MetadataUnavailableError: it can't be told.
        """
        return not self._lost_of_log()

    def find_lost(self, patience_seconds: float = 0.0) -> str:
        """Return which of file, log and index is another one by now, or none; an empty text while they are the same.

        Where the file was replaced or moved, the log is put out of the way of what lies there or will, and comes back
        with the former file. Who is not let in within the patience leaves that to the next look, in seconds.

        Raises:
            MetadataUnavailableError: it can't be told.
        """
        if not self.has_file():
            if _identity_of(self._real) != self._file:
                self._put_aside(patience_seconds)
            return str(self._path)
        if _identity_of(self._log) is None:
            self._take_back(patience_seconds)
        return self._lost_of_log()

    def is_log_removed(self) -> bool:
        """Whether the log has neither its name nor that of one put aside, and its name is free, or an empty one's.

        What it holds is nowhere else then, unless it is copied back by who has it open.

        Raises:
            MetadataUnavailableError: it can't be told.
        """
        return (
            self.has_file()
            and self._own_log is not None
            and self._own_mark() is None
            and not _has_content(self._log)
        )

    def may_be_closed(self) -> bool:
        """Whether SQLite can close without harm to what others put there: that goes by names once it closes.

        A log that is only gone is copied back from what is still open, also where somebody opened the file since, who
        makes an empty one. Where somebody made another index of the log, that may have units which ours does not name.
        """
        try:
            if _identity_of(self._log) == self._own_log:
                return self.has_file() and _identity_of(self._index) in {None, self._own_index}
            return self.has_file() and not _has_content(self._log)
        except MetadataUnavailableError:
            return False

    def _lost_of_log(self) -> str:
        """Return the name of the log, or of its index, where another one has it by now, or none."""
        if self._own_log is None or _identity_of(self._log) != self._own_log:
            return str(self._log)
        return "" if _identity_of(self._index) == self._own_index else str(self._index)

    def _put_aside(self, patience_seconds: float) -> None:
        """Rename the log, which whoever has it open goes on with; also one whose file was written to since it is aside.

        That is what a checkpoint does which began before.
        """
        if self._own_mark() in {None, self._mark}:
            return
        with _turn(self._real.parent, patience_seconds) as is_let_in:
            before, after = self._own_mark(), self._mark
            if is_let_in and before is not None and before != after:
                _rename_aside(self._real, before, after)

    def _take_back(self, patience_seconds: float) -> None:
        if self._own_mark() is None:
            return
        with _turn(self._real.parent, patience_seconds) as is_let_in:
            if is_let_in and (mark := self._own_mark()):
                _rename_back(self._real, mark)

    def _own_mark(self) -> str | None:
        """Return what the name of the log ends with by now: nothing where it is its own; `None` where it is gone."""
        for candidate in (self._log, *logs_aside(self._real)):
            if self._own_log is not None and _identity_of(candidate) == self._own_log:
                return candidate.name.removeprefix(self._log.name)
        return None

    @property
    def _mark(self) -> str:
        return _mark_of(os.fstat(self._descriptor))


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise MetadataUnavailableError(f"{path}: {error.strerror}") from error


def _mark_at(real: Path) -> str:
    """Return the mark of the file that lies there; an empty text where there is none."""
    try:
        return _mark_of(real.stat())
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise MetadataUnavailableError(f"{real}: {error.strerror}") from error


def _mark_of(found: os.stat_result) -> str:
    """Return what the name of a log that is put aside ends with, to tell its file from others also when that is moved.

    Nothing is written to a file while its log is aside. An inode does not tell: the next file that is made may have it.
    """
    return f"{_ASIDE}{found.st_size}-{found.st_mtime_ns}"


def _rename_aside(real: Path, before: str, after: str) -> None:
    if _renamed(real, _LOG + before, _LOG + after):
        _renamed(real, _INDEX + before, _INDEX + after)


def _rename_back(real: Path, mark: str) -> None:
    if _identity_of(real.with_name(real.name + _INDEX + mark)) is None or _renamed(
        real, _INDEX + mark, _INDEX
    ):
        _renamed(real, _LOG + mark, _LOG)


def _renamed(real: Path, before: str, after: str) -> bool:
    """Whether it could be: it may be gone, or nothing can be written there."""
    try:
        real.with_name(real.name + before).rename(real.with_name(real.name + after))
    except OSError:
        return False
    return True


@contextmanager
def _turn(directory: Path, patience_seconds: float) -> Generator[bool]:
    """Keep other processes from renaming; yield whether that is so, which it may not be within the patience.

    Who looked and then slept must not rename the log of those who came meanwhile.

    Raises:
        MetadataUnavailableError: the directory can't be opened.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise MetadataUnavailableError(f"{directory}: {error.strerror}") from error
    try:
        yield _locked(descriptor, patience_seconds)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, patience_seconds: float) -> bool:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        else:
            return True


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
