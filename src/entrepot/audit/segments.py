"""The files of a node's spool: who writes one holds a lock on it, so that a reader knows whether more may come.

A file gets its final name when the lock is held already. So whoever can take the lock of a segment knows that its
writer is dead, or done with it, and that nothing will be appended any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from entrepot.kernel.durable_directories import sync_directory
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["DAMAGED_SUFFIX", "SUFFIX", "create_segment", "ended_segment", "segment_paths", "spool_bytes"]

SUFFIX: Final = ".spool"
DAMAGED_SUFFIX: Final = ".damaged"
_DRAFT: Final = ".draft-"
_MODE: Final = 0o600


def create_segment(directory: Path) -> tuple[int, Path]:
    """Return a new empty segment, locked and open for appending. Names sort by the time they were made. Blocks.

    Raises:
        OSError: it can't be made.
    """
    made = time.time_ns()  # noqa: TID251  # only puts names in order
    name = f"{made:020d}-{new_public_id()[:12]}{SUFFIX}"
    draft, path = directory / f"{_DRAFT}{name}", directory / name
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, _MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(path)
        sync_directory(directory)
    except OSError:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    return descriptor, path


def segment_paths(directory: Path) -> Sequence[Path]:
    """Return all segments, the oldest first."""
    return sorted(
        path for path in directory.iterdir() if path.suffix == SUFFIX and not path.name.startswith(".")
    )


def spool_bytes(directory: Path) -> int:
    """Return how many bytes lie in the spool; what vanishes meanwhile does not count."""
    total = 0
    for path in segment_paths(directory):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


@contextlib.contextmanager
def ended_segment(path: Path) -> Iterator[bool]:
    """Tell whether nobody writes to a segment any more, and keep others from it meanwhile.

    Raises:
        OSError: it can't be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
