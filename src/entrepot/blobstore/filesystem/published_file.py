"""Finds the file that a dead publisher moved to its final name and told nobody about (F1)."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from entrepot.blobstore.driver import StoredObject
from entrepot.blobstore.errors import UploadBusyError
from entrepot.blobstore.filesystem.disk_errors import disk_errors_translated
from entrepot.blobstore.keys import nested_blob_key

if TYPE_CHECKING:
    from entrepot.blobstore.filesystem.volume import Volume
    from entrepot.oci.digest import Digest

__all__ = ["claim_published"]


def claim_published(volume: Volume, upload_id: str, digest: Digest) -> StoredObject | None:
    """Return the blob that `upload_id` published under `digest`, its bytes and its name made durable.

    A publisher keeps its lock through the rename and the syncs after it, so a file that can be locked has none any
    more, and nobody will take it back because a directory could not be synced.

    Raises:
        UploadBusyError: the publisher lives.
        StorageSuspectError, StorageUnavailableError: it can't be examined or synced.
    """
    volume.suspicion.require_none()
    key = nested_blob_key(digest, upload_id)
    path = volume.path_of(key)
    with disk_errors_translated(f"examine {key}"):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            volume.sync_file(descriptor, path)
            for directory in path.parents:
                volume.sync_directory(directory)
                if directory == volume.root:
                    break
            return StoredObject(key, os.fstat(descriptor).st_size)
        except BlockingIOError as error:
            raise UploadBusyError(upload_id) from error
        finally:
            os.close(descriptor)
