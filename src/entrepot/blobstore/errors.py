"""What a blob store can fail with; drivers translate the errors of disks and SDKs into these at their boundary."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "BlobStoreError",
    "InvalidKeyError",
    "ObjectNotFoundError",
    "StorageFullError",
    "StorageSuspectError",
    "StorageUnavailableError",
    "UploadBusyError",
    "UploadLostError",
]


class BlobStoreError(EntrepotError):
    """The root of everything a driver raises."""


class InvalidKeyError(BlobStoreError):
    """A key that no part of this program writes: absolute, climbing, or with empty segments (S34)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key!r} is not a key of a blob store")
        self.key = key


class ObjectNotFoundError(BlobStoreError):
    """No object lies under the key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no object {key}")
        self.key = key


class StorageFullError(BlobStoreError):
    """The store has no room left (ENOSPC, EDQUOT, or the configured floor of free bytes would be undercut)."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the blob store is full: {detail}")


class StorageUnavailableError(BlobStoreError):
    """The store can't be reached or refuses to work; the same call may succeed later."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the blob store is unavailable: {detail}")


class StorageSuspectError(StorageUnavailableError):
    """An fsync failed: what the kernel held may be lost, so the volume can't be trusted until a person looked at it."""


class UploadBusyError(BlobStoreError):
    """Another writer, perhaps one that is about to die, still holds the staged bytes of this upload."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"the staged bytes of upload {upload_id} are held by another writer")
        self.upload_id = upload_id


class UploadLostError(BlobStoreError):
    """Fewer staged bytes exist than were recorded: the upload can't go on and has to start anew."""

    def __init__(self, upload_id: str, detail: str) -> None:
        super().__init__(f"the staged bytes of upload {upload_id} are gone: {detail}")
        self.upload_id = upload_id
