"""Creates directories whose names survive a power cut: a synced file is lost along with its directory's name (F2)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["create_directory", "sync_directory"]


def create_directory(directory: Path, mode: int) -> None:
    """Create a directory with the parents it lacks, and fsync what holds the name of each new one. Blocks.

    Nothing is done when it is there already. `mode` is its own; parents get the usual one.

    Raises:
        OSError: it can't be created, or its name can't be made durable.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(mode, parents=True, exist_ok=True)
    for created in reversed(missing):
        sync_directory(created.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power cut. Blocks.

    Raises:
        OSError: they may not.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
