"""Checks of what will run out: files that the file system can hold, and room at the pace of the last days."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from entrepot.ops.checks.finding import Finding, failed, passed, warned
from entrepot.settings import storage_root

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.diagnosis import RecentGrowth
    from entrepot.settings import Settings

__all__ = ["GROWTH_SECONDS", "check_free_files", "judge_forecast", "judge_free_files"]

_GIB: Final = 1024**3
_DAY_SECONDS: Final = 86400
GROWTH_SECONDS: Final = 7 * _DAY_SECONDS
"""A week holds work-days and a week-end."""
_LEAST_SPAN_SECONDS: Final = _DAY_SECONDS
_SOON_DAYS: Final = 14
_FEW_FILES: Final = 10_000
_FEW_SHARE: Final = 0.05


def check_free_files(settings: Settings) -> Finding:
    """Check how many more files (inodes) the file system beneath can hold."""
    directory = settings.data.directory if settings.storage.driver == "s3" else storage_root(settings)
    state = os.statvfs(next(path for path in (directory, *directory.parents) if path.exists()))
    return judge_free_files(directory, state.f_favail, state.f_files)


def judge_free_files(directory: Path, free: int, total: int) -> Finding:
    """Judge free inodes; file systems that make them as needed report none in total."""
    if total == 0:
        return passed("free-files", f"the file system of {directory} makes inodes as needed")
    message = f"{free} more files fit on the file system of {directory}"
    remedy = (
        "Each image takes a few inodes. Remove small files, or make the file system anew with more (mkfs -N)."
    )
    if free == 0:
        return failed("free-files", message, remedy)
    if free < _FEW_FILES and free < total * _FEW_SHARE:
        return warned("free-files", message, remedy)
    return passed("free-files", message)


def judge_forecast(growth: RecentGrowth, now_milliseconds: int, room_bytes: int) -> Finding:
    """Judge when the room above storage.min_free_bytes is used up, if pushes go on as in the last days."""
    span = (now_milliseconds - growth.since_milliseconds) / 1000
    if growth.size_bytes == 0 or span < _LEAST_SPAN_SECONDS:
        return passed("forecast", "no day of pushes yet to foretell from")
    per_day = growth.size_bytes / span * _DAY_SECONDS
    days = max(room_bytes, 0) / per_day
    pace = f"{per_day / _GIB:.2f} GiB a day over the last {span / _DAY_SECONDS:.1f} days"
    if days >= _SOON_DAYS:
        return passed("forecast", f"at {pace} there is room for {days:.0f} days")
    remedy = "Enlarge the volume before pushes get 507; deleting images frees no bytes yet."
    return warned("forecast", f"at {pace} uploads are refused in {days:.1f} days", remedy)
