"""The end of a log, from a file or from the journal of systemd, in bounded memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LogUnavailableError", "last_journal_lines", "last_lines"]

_LONGEST_LINE: Final = 16 * 1024
_MOST_BYTES: Final = 32 * 1024 * 1024
_JOURNAL_UNIT: Final = "entrepot"
_PATIENCE_SECONDS: Final = 30.0


class LogUnavailableError(EntrepotError):
    """The journal was asked for and can't be read."""


def last_lines(path: Path, count: int) -> str:
    """Return the last lines of a file, each cut at 16 KiB. Blocks. Raises OSError."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _MOST_BYTES))
        content = stream.read(_MOST_BYTES)
    return _cut(content, count)


def last_journal_lines(count: int) -> str:
    """Return the last lines of the unit `entrepot`. Blocks.

    Raises:
        LogUnavailableError: there is no journal, or it may not be read.
    """
    program = shutil.which("journalctl")
    if program is None:
        raise LogUnavailableError("journalctl is not installed")
    command = [
        program,
        f"--unit={_JOURNAL_UNIT}",
        f"--lines={count}",
        "--output=cat",
        "--no-pager",
        "--quiet",
    ]
    try:
        # No shell, and nothing in the command comes from outside.
        ended = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE_SECONDS)  # noqa: S603 - ditto
    except (OSError, subprocess.SubprocessError) as error:
        raise LogUnavailableError(f"journalctl failed: {type(error).__name__}") from error
    if ended.returncode != 0 or not ended.stdout.strip():
        reason = (
            ended.stderr.decode("utf-8", "replace").strip() or f"it holds nothing of the unit {_JOURNAL_UNIT}"
        )
        raise LogUnavailableError(f"the journal can't be read: {reason}")
    return _cut(ended.stdout[-_MOST_BYTES:], count)


def _cut(content: bytes, count: int) -> str:
    lines = content.decode("utf-8", "replace").splitlines()[-count:]
    return "".join(f"{_shorten(line)}\n" for line in lines)


def _shorten(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}… ({len(line)} characters)"
