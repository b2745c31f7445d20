"""Writes an object that is in memory as a whole: manifest bytes and journal entries."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.blobstore.filesystem.disk_errors import disk_errors_translated
from entrepot.blobstore.filesystem.durable import write_all
from entrepot.blobstore.filesystem.staged_file import FILE_MODE
from entrepot.blobstore.keys import UPLOADS, require_key
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from entrepot.blobstore.filesystem.volume import Volume

__all__ = ["write_new_object", "write_object"]


def write_object(volume: Volume, key: str, data: bytes) -> None:
    """Store `data` under `key`: temporary file → fdatasync → rename → fsync of the directories.

    The floor of free bytes does not apply: a manifest or a deletion must still fit when uploads are refused. The
    temporary file is locked like an upload, so that a sweep of the staging directory leaves it alone.

    Raises:
        StorageFullError, StorageUnavailableError, StorageSuspectError: nothing lies under `key`.
    """
    _write(volume, key, data, replace=True)


def write_new_object(volume: Volume, key: str, data: bytes) -> bool:
    """Do the same only if nothing lies under `key`; return whether that was so.

    Raises:
        StorageFullError, StorageUnavailableError, StorageSuspectError: as :func:`write_object`.
    """
    return _write(volume, key, data, replace=False)


def _write(volume: Volume, key: str, data: bytes, *, replace: bool) -> bool:
    require_key(key)
    volume.suspicion.require_none()
    temporary = volume.root / UPLOADS / f"put-{new_public_id()}"
    with disk_errors_translated(f"write {key}"):
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_all(volume.operations, descriptor, (data,), 0)
            reach(Failpoint.OBJECT_WRITTEN)
            volume.sync_file(descriptor, temporary)
            _require_whole(descriptor, key, len(data))
            reach(Failpoint.OBJECT_SYNCED)
            moved = volume.move_into_place(
                temporary, key, Failpoint.OBJECT_RENAMED, Failpoint.OBJECT_DIRECTORY_SYNCED, replace=replace
            )
            if not moved:
                temporary.unlink()
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(descriptor)
    return moved


def _require_whole(descriptor: int, key: str, size: int) -> None:
    """Believe the length rather than a disk that claimed to have taken everything (F4)."""
    found = os.fstat(descriptor).st_size
    if found != size:
        raise StorageUnavailableError(f"{key} has {found} bytes instead of {size} after it was written")
