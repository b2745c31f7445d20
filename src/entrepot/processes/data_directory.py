"""Makes sure, before anything starts, that this node alone owns its data directory and can write to it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from entrepot.kernel.durable_directories import create_directory
from entrepot.processes.errors import ExitCode, StartRefusedError

__all__ = [
    "LOCK_FILE",
    "RUN_DIRECTORY",
    "forget_suspicion",
    "lock_data_directory",
    "prepare_run_directory",
]

RUN_DIRECTORY = "run"
LOCK_FILE = "lock"
_WRITE_CHECK_FILE = "write-check"
_ORPHANS_GONE_SECONDS = 3.0
"""How long to wait for children of a parent that was killed; they get their death signal at once."""
_RETRY_SECONDS = 0.05


def prepare_run_directory(data_directory: Path) -> Path:
    """Create `<data>/run` (0700), write and sync a file in it, and return it.

    Raises:
        StartRefusedError: STORAGE_NOT_WRITABLE with the operating system's reason.
    """
    run_directory = data_directory / RUN_DIRECTORY
    try:
        create_directory(run_directory, 0o700)
        _check_writable(run_directory)
    except OSError as error:
        reason = f"data directory {data_directory} (data.directory) can't be written: {error.strerror}"
        raise StartRefusedError(ExitCode.STORAGE_NOT_WRITABLE, reason) from error
    return run_directory


def lock_data_directory(run_directory: Path) -> int:
    """Lock the data directory for this process and its children; return the descriptor that holds the lock.

    The descriptor is passed to every child: as long as one of them lives, even after the parent was killed, nobody
    else can start on the directory. The file holds the parent's pid, for the message of whoever comes second.

    Raises:
        StartRefusedError: DATA_DIRECTORY_IN_USE naming holder and directory.
    """
    descriptor = os.open(
        run_directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        _acquire(descriptor, run_directory.parent)
    except StartRefusedError:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def forget_suspicion(marker: Path) -> None:
    """Trust the disk of the blobs again, though an fsync failed in an earlier run: whoever starts us has looked at it.

    Raises:
        StartRefusedError: STORAGE_NOT_WRITABLE, when the marker can't be removed.
    """
    try:
        marker.unlink(missing_ok=True)
    except OSError as error:
        reason = f"{marker} can't be removed: {error.strerror}"
        raise StartRefusedError(ExitCode.STORAGE_NOT_WRITABLE, reason) from error


def _check_writable(directory: Path) -> None:
    """Write for real: permission bits say nothing of a read-only mount, an immutable directory or a full disk."""
    path = directory / _WRITE_CHECK_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, b"writable\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()


def _acquire(descriptor: int, data_directory: Path) -> None:
    give_up_at = time.monotonic() + _ORPHANS_GONE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            if time.monotonic() >= give_up_at or _is_alive(holder):
                reason = f"data directory {data_directory} is in use by process {holder}"
                raise StartRefusedError(ExitCode.DATA_DIRECTORY_IN_USE, reason) from error
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _is_alive(pid: str) -> bool:
    """Whether the process runs; one that is dead but not yet waited for by its parent doesn't."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
