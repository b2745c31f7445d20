"""Measures how much of a directory is what, in bounded time: a store may have millions of files."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PartSize", "measure_parts"]


@dataclass(slots=True)
class PartSize:
    """What lies below one entry of a directory; not `complete` when time ran out or a directory was closed to us."""

    files: int = 0
    bytes: int = 0
    complete: bool = True


def measure_parts(directory: Path, budget_seconds: float) -> dict[str, PartSize]:
    """Return files and bytes of each entry of the directory, by name; bytes as `ls` counts them. Blocks.

    Raises:
        OSError: the directory itself can't be read.
    """
    give_up_at = time.monotonic() + budget_seconds
    with os.scandir(directory) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    return {entry.name: _measure(entry, give_up_at) for entry in found}


def _measure(top: os.DirEntry[str], give_up_at: float) -> PartSize:
    size = PartSize()
    waiting = [top]
    while waiting:
        if time.monotonic() > give_up_at:
            size.complete = False
            break
        entry = waiting.pop()
        try:
            if entry.is_dir(follow_symlinks=False):
                waiting.extend(_entries(entry.path))
            else:
                size.bytes += entry.stat(follow_symlinks=False).st_size
                size.files += 1
        except FileNotFoundError:
            continue  # gone since it was listed
        except OSError:
            size.complete = False
    return size


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        yield from entries
