"""Options that the backup commands share, and the progress that they show."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec
from cyclopts import Parameter

from entrepot.ops.errors import EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption
from entrepot.ops.progress import Progress
from entrepot.settings import Settings
from entrepot.settings.sizes import parse_size

__all__ = [
    "BackupChoice",
    "ConfigOption",
    "DataOption",
    "FromOption",
    "OutputOption",
    "ParallelOption",
    "PassphraseOption",
    "ProgressObserver",
    "RateOption",
    "SnapshotOption",
    "ToOption",
    "rate_of",
    "warn",
]

T = TypeVar("T")

ToOption: TypeAlias = Annotated[
    str,
    Parameter(
        name="--to", help="Where the backup goes: a path, file:///path or s3://bucket/prefix (backup.target)."
    ),
]
FromOption: TypeAlias = Annotated[
    str,
    Parameter(
        name="--from",
        help="Where the backups are: a path, file:///path or s3://bucket/prefix (backup.target).",
    ),
]
PassphraseOption: TypeAlias = Annotated[
    Path | None,
    Parameter(
        name="--passphrase-file",
        help="File whose first line is the passphrase (backup.passphrase). Without it there is no way to the data.",
    ),
]
SnapshotOption: TypeAlias = Annotated[
    str, Parameter(name="--snapshot", help="Which snapshot, by its id; else the newest complete one.")
]
ParallelOption: TypeAlias = Annotated[int, Parameter(name="--parallel", help="Blobs worked on at once.")]
RateOption: TypeAlias = Annotated[
    str, Parameter(name="--rate", help="Bytes per second, at most, as 50MiB; else as fast as it goes.")
]


class BackupChoice(msgspec.Struct, frozen=True):
    """The settings a command runs with, the target it was told, and the passphrase."""

    settings: Settings
    target: str
    passphrase: str

    @classmethod
    def of(
        cls, config: Path | None, data: Path | None, target: str, passphrase_file: Path | None
    ) -> BackupChoice:
        """Read the settings and what options say beyond them.

        Raises:
            CommandError: there is no target, or the passphrase can't be read.
        """
        settings = load_command_settings(config, make_flags(data)).settings
        chosen = target or settings.backup.target
        if not chosen:
            raise CommandError(
                EXIT_USAGE,
                "entrepot: no place for backups is given; name one, or set backup.target (ENTREPOT_BACKUP_TARGET)",
            )
        passphrase = settings.backup.passphrase.reveal()
        if passphrase_file is not None:
            passphrase = _first_line(passphrase_file)
        return cls(settings, chosen, passphrase)


def _first_line(path: Path) -> str:
    try:
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            print(f"entrepot: others may read {path}; run: chmod 600 {path}", file=sys.stderr)
        line = path.read_text("utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(EXIT_USAGE, f"entrepot: {path} can't be read: {error}") from error
    if not line:
        raise CommandError(
            EXIT_USAGE, f"entrepot: the first line of {path} is empty; a passphrase is expected"
        )
    return line


def rate_of(text: str) -> int | None:
    """Return bytes per second, `None` without a limit.

    Raises:
        CommandError: it is no size.
    """
    if not text:
        return None
    try:
        return parse_size(text) or None
    except ValueError as error:
        raise CommandError(EXIT_USAGE, f"entrepot: --rate: {error}") from error


def warn(line: str) -> None:
    """Tell an operator, also one whose result goes to a program."""
    print(f"entrepot: {line}", file=sys.stderr)


class ProgressObserver:
    """Implements :class:`entrepot.backup.observer.BackupObserver` with a line of progress."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def begin(self, title: str, total: int | None = None, unit: Literal["bytes", "items"] = "bytes") -> None:
        """Show the line of the next kind of work."""
        self.end()
        self._progress = Progress(title, unit=unit, total=total)

    def advance(self, count: int, note: str = "") -> None:
        """Move it on."""
        if self._progress is not None:
            self._progress.advance(count, note)

    def say(self, line: str) -> None:
        """Print a line above it."""
        (self._progress or Progress("")).say(line)

    def end(self) -> None:
        """Leave it as it is."""
        if self._progress is not None:
            self._progress.finish()
            self._progress = None
