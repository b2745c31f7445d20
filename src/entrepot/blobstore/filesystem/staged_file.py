"""The file an upload grows in, held under a lock from open to close, so that nobody writes to bytes others publish.

A worker that was paused past its lease (F30) still holds the lock: whoever comes next is told that the upload is busy,
until the worker has noticed or has died. Every step that makes a staged file appear, vanish or move happens under its
lock, hence the name of a locked file can't change under its holder.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.errors import (
    BlobStoreError,
    StorageUnavailableError,
    UploadBusyError,
    UploadLostError,
)
from entrepot.blobstore.filesystem.disk_errors import disk_error, disk_errors_translated
from entrepot.blobstore.filesystem.durable import write_all
from entrepot.blobstore.filesystem.room_ahead import RoomAhead
from entrepot.blobstore.filesystem.write_back import WriteBack
from entrepot.blobstore.keys import nested_blob_key, require_upload_id, staged_key
from entrepot.kernel.failpoints import Failpoint, reach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.blobstore.driver import UploadReference
    from entrepot.blobstore.filesystem.volume import Volume
    from entrepot.oci.digest import Digest

__all__ = ["FILE_MODE", "StagedFile", "open_staged_file", "remove_unheld"]

FILE_MODE: Final = 0o640
_OPEN_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_MOST_OPEN_ATTEMPTS: Final = 32


class StagedFile:
    """An open, locked staged file. One that shares its bytes with another file is open for reading only.

    All methods block. A mutex orders them, so that `close` never pulls the descriptor from under a write whose waiting
    task was cancelled.
    """

    def __init__(self, volume: Volume, upload: UploadReference, descriptor: int) -> None:
        self._volume = volume
        self._upload_id = upload.upload_id
        self._path = volume.path_of(staged_key(upload.upload_id))
        self._descriptor = descriptor
        self._mutex = threading.Lock()
        self._room = RoomAhead(volume.take_room if volume.takes_room_ahead else None)
        self._write_back = WriteBack(upload.offset)
        self._unsynced = True
        self._name_is_durable = upload.offset > 0
        self._finished = False
        self.offset = upload.offset

    def cut_back(self) -> None:
        """Cut the file to the offset the session counts, and give back room that whoever wrote it last had taken ahead.

        Raises:
            UploadLostError: it is shorter, or it is somebody else's file as well.
        """
        with disk_errors_translated(f"cut back the upload {self._upload_id}"):
            status = os.fstat(self._descriptor)
            size = status.st_size
            if status.st_nlink > 1:  # cutting it would cut the file it was linked from (shared_file.py)
                raise UploadLostError(self._upload_id, "its file has another name elsewhere")
            if size < self.offset:
                raise UploadLostError(self._upload_id, f"{size} of {self.offset} bytes are there")
            if size > self.offset or self._room.may_be_left(self.offset):
                os.ftruncate(self._descriptor, self.offset)
            self._unsynced = size != self.offset or not self._name_is_durable

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """See :meth:`BlobWriter.write`."""
        with self._mutex:
            self._require_open()
            size = sum(map(len, chunks))
            try:
                self._volume.floor.admit(size)
                self._room.take(self._descriptor, self.offset, size)
                with self._volume.write_length.for_step(size) as at_a_time:
                    written = write_all(
                        self._volume.operations, self._descriptor, chunks, self.offset, at_a_time
                    )
            except OSError as error:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self.offset)
                self._room.forget()
                raise disk_error(error, f"write to the upload {self._upload_id}") from error
            if written:
                self._unsynced = True
                self.offset += written
                self._start_writing_back()
            reach(Failpoint.STAGED_BYTES_WRITTEN)

    def _start_writing_back(self) -> None:
        if (due := self._write_back.due(self.offset)) is not None:
            with suppress(
                OSError
            ):  # advice: what the disk could not take, the fsync before any promise reports
                self._volume.operations.start_writing_back(self._descriptor, *due)

    def checkpoint(self) -> None:
        """Make bytes and name durable, with one fdatasync and, once per upload, one fsync of the directory."""
        with self._mutex:
            self._require_open()
            self._sync()
            self._sync_name()

    def finish(self) -> None:
        """Refuse further writes."""
        with self._mutex:
            self._require_held()
            self._finished = True

    def publish(self, digest: Digest) -> str:
        """See :meth:`BlobWriter.publish`. What is not synced yet is synced; the staged name need not be durable."""
        with self._mutex:
            self._require_held()
            self._finished = True
            self._room.give_back(self._descriptor, self.offset)
            self._sync()
            self._require_unchanged()
            key = nested_blob_key(digest, self._upload_id)
            self._volume.move_into_place(
                self._path, key, Failpoint.BLOB_RENAMED, Failpoint.BLOB_DIRECTORY_SYNCED
            )
            return key

    def close(self) -> None:
        """Close the file, which releases the lock. May be called again."""
        with self._mutex:
            if self._descriptor >= 0:
                self._room.give_back(self._descriptor, self.offset)
            self._release()

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _sync(self) -> None:
        if not self._unsynced:
            return
        try:
            self._volume.sync_file(self._descriptor, self._path)
        except BlobStoreError:
            self._release()
            raise
        self._unsynced = False
        reach(Failpoint.STAGED_BYTES_SYNCED)

    def _sync_name(self) -> None:
        if self._name_is_durable:
            return
        try:
            self._volume.sync_directory(self._path.parent)
        except BlobStoreError:
            with suppress(OSError):
                self._path.unlink()
            self._release()
            raise
        self._name_is_durable = True

    def _require_held(self) -> None:
        if self._descriptor < 0:
            raise StorageUnavailableError(f"the writer of the upload {self._upload_id} is closed")

    def _require_open(self) -> None:
        self._require_held()
        if self._finished:
            raise StorageUnavailableError(f"the upload {self._upload_id} takes no more bytes")

    def _require_unchanged(self) -> None:
        """Make sure that exactly the counted bytes are there: a failed write may have left more behind."""
        with disk_errors_translated(f"examine the upload {self._upload_id}"):
            size = os.fstat(self._descriptor).st_size
        if size != self.offset:
            raise StorageUnavailableError(
                f"the upload {self._upload_id} has {size} bytes instead of {self.offset}"
            )
        if not _still_names(self._path, self._descriptor):
            raise UploadLostError(self._upload_id, "its file was removed")


def open_staged_file(volume: Volume, upload: UploadReference) -> StagedFile:
    """Open, lock and cut back the file of `upload`, creating it for a new upload.

    Raises:
        UploadBusyError, UploadLostError, StorageUnavailableError, StorageFullError: nothing is left open or created.
    """
    volume.suspicion.require_none()
    path = volume.path_of(staged_key(require_upload_id(upload.upload_id)))
    with disk_errors_translated(f"open the upload {upload.upload_id}"):
        try:
            descriptor = _open_locked(path, os.O_CREAT if upload.offset == 0 else 0)
        except FileNotFoundError as error:
            if not path.parent.exists():
                raise  # it is no upload that was lost, but the volume that is not mounted
            raise UploadLostError(upload.upload_id, "its file is missing") from error
        except BlockingIOError as error:
            raise UploadBusyError(upload.upload_id) from error
    staged = StagedFile(volume, upload, descriptor)
    try:
        staged.cut_back()
    except BaseException:
        staged.close()
        raise
    if upload.offset == 0:
        reach(Failpoint.STAGED_FILE_CREATED)
    return staged


def remove_unheld(path: Path, upload_id: str) -> None:
    """Unlink a file of the staging directory unless somebody holds it; a missing one is fine.

    Raises:
        UploadBusyError: somebody does.
        StorageUnavailableError: it is still there.
    """
    with disk_errors_translated(f"discard {path.name}"):
        try:
            descriptor = _open_locked(path, 0)
        except FileNotFoundError:
            return
        except BlockingIOError as error:
            raise UploadBusyError(upload_id) from error
        try:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _open_locked(path: Path, creation_flag: int) -> int:
    """Return a locked descriptor of the file that `path` names now, not of one that was published or removed meanwhile.

    Raises:
        BlockingIOError: it is locked.
        FileNotFoundError: it is missing and not to be created.
    """
    for _ in range(_MOST_OPEN_ATTEMPTS):
        descriptor = os.open(path, _OPEN_FLAGS | creation_flag, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_names(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise BlockingIOError(0, "the file changes faster than it can be locked", str(path))


def _still_names(path: Path, descriptor: int) -> bool:
    try:
        named = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))
