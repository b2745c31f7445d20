"""Tells people how far long work has come: a line that is redrawn on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["Progress", "format_bytes"]

_REDRAW_SECONDS: Final = 0.2
_LINE_SECONDS: Final = 10.0
_BAR_CELLS: Final = 24
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024


def format_bytes(count: float) -> str:
    """Return a number of bytes for people, as `1.5 GiB`."""
    unit = 0
    while count >= _STEP and unit < len(_UNITS) - 1:
        count /= _STEP
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


class Progress:
    """How far one kind of work has come, on standard error, so that standard output stays for the result.

    Cheap to call for every item: what is shown changes a few times a second on a terminal, every ten seconds in a log.
    Not for use from several threads.
    """

    def __init__(
        self,
        title: str,
        *,
        unit: Literal["bytes", "items"] = "items",
        total: int | None = None,
        stream: TextIO | None = None,
        silent: bool = False,
    ) -> None:
        """Begin at nothing; without `total` there is no share and no time left to tell."""
        self._title = title
        self._unit = unit
        self._total = total
        self._stream = stream if stream is not None else sys.stderr
        self._silent = silent
        self._on_terminal = self._stream.isatty()
        self._done = 0
        self._began = time.monotonic()
        self._shown_at = self._began
        self._drawn = False

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count more bytes or items as done; `note` says what is being worked on."""
        self._done += count
        now = time.monotonic()
        if self._silent or now - self._shown_at < (_REDRAW_SECONDS if self._on_terminal else _LINE_SECONDS):
            return
        self._shown_at = now
        self._show(self._describe(now) + (f"  {note}" if note else ""))

    def say(self, line: str) -> None:
        """Print a line of its own, above what is redrawn."""
        if self._silent:
            return
        self._clear()
        print(line, file=self._stream, flush=True)

    def finish(self) -> None:
        """Leave the last state standing, as a line."""
        if self._silent:
            return
        self._clear()
        print(self._describe(time.monotonic()), file=self._stream, flush=True)

    def _show(self, line: str) -> None:
        if not self._on_terminal:
            print(line, file=self._stream, flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[K{line[:width]}")
        self._stream.flush()
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False

    def _describe(self, now: float) -> str:
        seconds = max(now - self._began, 0.001)
        rate = self._done / seconds
        done, speed = self._amount(self._done), f"{self._amount(rate)}/s"
        if not self._total:
            return f"{self._title}: {done}, {speed}, {_duration(seconds)}"
        share = min(self._done / self._total, 1.0)
        bar = "█" * round(share * _BAR_CELLS)
        left = f", {_duration((self._total - self._done) / rate)} left" if rate and share < 1 else ""
        bar = f"[{bar:<{_BAR_CELLS}}] " if self._on_terminal else ""
        of_total = f"{done} of {self._amount(self._total)}"
        return f"{self._title}: {bar}{share:.0%}, {of_total}, {speed}{left}"

    def _amount(self, count: float) -> str:
        return format_bytes(count) if self._unit == "bytes" else f"{count:,.0f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
