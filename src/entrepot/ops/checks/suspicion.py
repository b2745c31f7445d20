"""Check of whether the disk of the blobs has failed to flush since the registry was started (F7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.ops.checks.finding import Finding, failed, passed
from entrepot.processes.data_directory import RUN_DIRECTORY

if TYPE_CHECKING:
    from entrepot.settings import Settings

__all__ = ["check_suspicion"]

_MARKER: Final = "storage-suspect"
_MOST_CHARACTERS: Final = 500


def check_suspicion(settings: Settings) -> Finding:
    """Look for the mark that a process leaves when an fsync of a blob failed."""
    marker = settings.data.directory / RUN_DIRECTORY / _MARKER
    try:
        reason = marker.read_text(encoding="utf-8", errors="replace")[:_MOST_CHARACTERS].strip()
    except (FileNotFoundError, NotADirectoryError):
        return passed("disk-flushes", "no flush of a blob has failed since the registry was started")
    remedy = (
        "Look at the disk (dmesg, smartctl -a) before you trust it again; stopping and starting the registry means "
        "that you do. Until then it takes no bytes."
    )
    return failed("disk-flushes", f"the disk failed to flush: {reason or 'no reason was written'}", remedy)
