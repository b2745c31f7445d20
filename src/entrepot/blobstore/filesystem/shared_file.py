"""Stages a file of this machine without copying it: by one more name for it, or by a clone that shares its blocks.

The descriptor of a linked file is open for reading only, so no mistake here can write to or cut a file that is somebody
else's as well; all that can happen to it is to get a name and to lose it again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.filesystem.disk_errors import disk_errors_translated
from entrepot.blobstore.filesystem.staged_file import FILE_MODE, StagedFile
from entrepot.blobstore.keys import require_upload_id, staged_key
from entrepot.kernel.cloning import clone_file
from entrepot.kernel.failpoints import Failpoint, reach

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.blobstore.driver import Sharing
    from entrepot.blobstore.filesystem.volume import Volume

__all__ = ["open_shared_file"]

_NOT_SHAREABLE: Final = frozenset(
    {
        errno.EXDEV,  # another file system
        errno.EPERM,  # fs.protected_hardlinks, or a file system without links
        errno.EACCES,
        errno.EMLINK,
        errno.EOPNOTSUPP,
        errno.ENOTTY,
        errno.ENOSYS,
        errno.EINVAL,
        errno.ETXTBSY,
        errno.ENOENT,  # the source is gone: whoever reads it instead will say so
        errno.ELOOP,
        errno.EISDIR,
        errno.EWOULDBLOCK,  # somebody else is linking the same file right now
        errno.ENOSPC,
        errno.EDQUOT,
    }
)


def open_shared_file(
    volume: Volume, upload: UploadReference, source: Path, sharing: Sharing
) -> StagedFile | None:
    """Return the staged file of a new upload with the bytes of `source`, `None` when these two can't share.

    Raises:
        StorageUnavailableError: the disk failed; nothing is left behind.
    """
    path = volume.path_of(staged_key(require_upload_id(upload.upload_id)))
    with disk_errors_translated(f"share {source} with the upload {upload.upload_id}"):
        try:
            descriptor = _link(source, path) if sharing == "link" else _clone(source, path)
        except OSError as error:
            if error.errno in _NOT_SHAREABLE:
                return None
            raise
        size = os.fstat(descriptor).st_size
    reach(Failpoint.STAGED_FILE_CREATED)
    return StagedFile(volume, UploadReference(upload.upload_id, upload.fence, b"", size), descriptor)


def _link(source: Path, path: Path) -> int:
    """Return a locked descriptor, for reading only, of `source` under its new name `path`."""
    if not stat.S_ISREG(source.lstat().st_mode):
        raise OSError(errno.EINVAL, "no regular file", str(source))
    os.link(source, path, follow_symlinks=False)
    try:
        return _open_locked(path, os.O_RDONLY)
    except BaseException:
        _forget(path)
        raise


def _clone(source: Path, path: Path) -> int:
    """Return a locked descriptor of a new file `path` that shares the blocks of `source`."""
    origin = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        descriptor = _open_locked(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            clone_file(descriptor, origin)
        except BaseException:
            os.close(descriptor)
            _forget(path)
            raise
        return descriptor
    finally:
        os.close(origin)


def _open_locked(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
