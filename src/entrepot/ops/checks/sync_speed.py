"""Check of how long the disk takes to make bytes durable: each push waits for that several times."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Final

from entrepot.ops.checks.finding import Finding, passed, warned
from entrepot.settings import storage_root, uses_postgresql

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

__all__ = ["check_sync_speed", "judge_sync_speed", "measure_syncs"]

_WRITES: Final = 20
_BLOCK: Final = b"\0" * 4096
_ENOUGH_SECONDS: Final = 5.0
"""A disk that has taken so long has said what there is to say."""
_SLOW_SECONDS: Final = 0.020


def check_sync_speed(settings: Settings) -> Finding:
    """Write and sync small blocks where the metadata lies, or else the blobs."""
    if uses_postgresql(settings) and settings.storage.driver == "s3":
        return passed("sync-speed", "neither metadata nor blobs lie on this machine")
    directory = storage_root(settings) if uses_postgresql(settings) else settings.data.directory
    if not directory.is_dir():
        return passed("sync-speed", f"{directory} does not exist yet; measured once it does")
    return judge_sync_speed(directory, statistics.median(measure_syncs(directory)))


def measure_syncs(directory: Path) -> list[float]:
    """Return the seconds that each of up to 20 writes of 4 KiB took with its fdatasync; at least one. Blocks."""
    taken: list[float] = []
    give_up_at = time.monotonic() + _ENOUGH_SECONDS
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        while len(taken) < _WRITES and (not taken or time.monotonic() < give_up_at):
            began = time.perf_counter()
            file.write(_BLOCK)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return taken


def judge_sync_speed(directory: Path, median_seconds: float) -> Finding:
    """Judge the median time of a small durable write."""
    message = f"a durable write of 4 KiB in {directory} takes {median_seconds * 1000:.3g} ms (median)"
    if median_seconds > _SLOW_SECONDS:
        remedy = (
            "Each push waits for several such writes. Look for other load (iostat -x 1), a failing disk (smartctl), "
            "or put data.directory on an SSD."
        )
        return warned("sync-speed", message, remedy)
    return passed("sync-speed", message)
