"""One directory tree on one disk: what the parts of the driver share, and the rules of durable writing (F2, F7)."""

from __future__ import annotations

import errno
from contextlib import suppress
from stat import S_ISDIR
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.errors import BlobStoreError, StorageUnavailableError
from entrepot.blobstore.filesystem.directories import DIRECTORY_MODE, DirectoryTree
from entrepot.blobstore.filesystem.disk_errors import disk_error, disk_errors_translated, is_full
from entrepot.blobstore.filesystem.durable import DirectoryNotOpenedError
from entrepot.blobstore.filesystem.filesystem_kind import UNSUITABLE_KINDS, filesystem_kind
from entrepot.blobstore.filesystem.free_space import FreeSpaceFloor
from entrepot.blobstore.filesystem.room_ahead import ROOM_AHEAD_KINDS
from entrepot.blobstore.filesystem.write_length import WriteLength
from entrepot.blobstore.keys import BLOBS, JOURNAL, MANIFESTS, UPLOADS, require_key
from entrepot.kernel.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.blobstore.filesystem.durable import DurableOperations
    from entrepot.blobstore.filesystem.suspicion import Suspicion
    from entrepot.kernel.failpoints import Failpoint

__all__ = ["Volume"]

_MOST_MOVE_ATTEMPTS: Final = 32


class Volume:
    """The root of a store with its write rules. All methods block; they run on disk threads."""

    def __init__(
        self,
        root: Path,
        min_free_bytes: int,
        operations: DurableOperations,
        suspicion: Suspicion,
        *,
        local_only: bool = True,
    ) -> None:
        self.root = root
        self._root_text = str(root)
        self._local_only = local_only
        self.operations = operations
        self.floor = FreeSpaceFloor(root, min_free_bytes)
        self.suspicion = suspicion
        self.takes_room_ahead = False
        self.write_length = WriteLength()
        self._directories = DirectoryTree(root, operations)

    def path_of(self, key: str) -> Path:
        """Return where `key` lies.

        Raises:
            InvalidKeyError: for a key that could lead outside the root (S34).
        """
        return self.root / require_key(key)

    def text_of(self, key: str) -> str:
        """Return the same as text: to build a path and to write it out takes longer than to ask the kernel about it.

        Raises:
            InvalidKeyError: as :meth:`path_of`.
        """
        return f"{self._root_text}/{require_key(key)}"

    def prepare(self) -> None:
        """Create and fsync the upper directories.

        Raises:
            StorageUnavailableError: the root lies on a network file system or can't be created.
        """
        with disk_errors_translated(f"prepare {self.root}"):
            missing = [path for path in (self.root, *self.root.parents) if not path.exists()]
            self.root.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            kind = filesystem_kind(self.root)
            if self._local_only and kind in UNSUITABLE_KINDS:
                raise StorageUnavailableError(
                    f"{self.root} lies on {kind}, where locks and fsync can't be relied on"
                )
            self.takes_room_ahead = kind in ROOM_AHEAD_KINDS
            try:
                self._make_upper_directories(missing)
            except OSError as error:
                # A volume that has turned read-only can't be prepared for pushes, and pulls need nothing of it (F9).
                if missing or error.errno != errno.EROFS:
                    raise

    def identify(self) -> str:
        """Return device and inode of the directory which all blobs lie in, an empty text where it is not there.

        Where a volume is unmounted under a process, no push makes it in the mount point: a push needs the staging
        directory, which nothing but :meth:`prepare` makes.

        Raises:
            StorageUnavailableError: it can't be told.
        """
        with disk_errors_translated(f"examine {self.root}"):
            try:
                found = (self.root / BLOBS).stat()
            except (FileNotFoundError, NotADirectoryError):
                return ""
        return f"{found.st_dev}:{found.st_ino}" if S_ISDIR(found.st_mode) else ""

    def require_prepared(self) -> None:
        """Make sure that the directory is there which all blobs lie in.

        Raises:
            StorageUnavailableError: it is not there, as in the mount point of a volume that is not mounted.
        """
        if not self.identify():
            raise StorageUnavailableError(
                f"{self.root} lacks the directory {BLOBS} of a storage: is its volume mounted?"
            )

    def _make_upper_directories(self, created: Sequence[Path]) -> None:
        for directory in created:
            self.operations.sync_directory(directory.parent)
        for prefix in (UPLOADS, BLOBS, MANIFESTS, JOURNAL):
            key = f"{prefix}any"
            for directory in self._directories.create_for(key):
                self.operations.sync_directory(directory)
            self._directories.remember(key)

    def take_room(self, descriptor: int, offset: int, size: int) -> bool:
        """Set blocks aside for bytes that may come, and return `True`; `False` where others may need the room first.

        Raises:
            OSError: the file system gives none.
        """
        if not self.floor.is_far(size):
            return False
        self.operations.take_room(descriptor, offset, size)
        return True

    def sync_file(self, descriptor: int, path: Path) -> None:
        """Make a file's bytes durable, or remove it: after a failed fsync the kernel may call lost pages clean (F7).

        Raises:
            StorageSuspectError, StorageFullError: the file is gone.
        """
        try:
            self.operations.sync_data(descriptor)
        except OSError as error:
            with suppress(OSError):
                path.unlink()
            raise self._judge(error, f"fdatasync of {path} failed: {error}") from error

    def sync_directory(self, directory: Path) -> None:
        """Make a directory's entries durable.

        Raises:
            StorageSuspectError, StorageFullError, StorageUnavailableError: they may not be.
        """
        try:
            self.operations.sync_directory(directory)
        except DirectoryNotOpenedError as error:
            raise disk_error(error, f"open {directory} in order to sync it") from error
        except OSError as error:
            raise self._judge(error, f"fsync of {directory} failed: {error}") from error

    def move_into_place(
        self, source: Path, key: str, renamed: Failpoint, synced: Failpoint, *, replace: bool = True
    ) -> bool:
        """Give a complete, synced file its final key, durably; return `False` if that key is taken and not replaced.

        A plain rename is enough. It would replace, but a key is only ever written with the same bytes: that of a blob
        holds its digest and its upload, and whoever renames holds the lock of exactly the file that was verified. Only
        the number in the key of a journal entry may be given twice, by two databases that take themselves for one.

        Raises:
            StorageSuspectError: a directory could not be fsynced; the object is removed.
            StorageFullError, StorageUnavailableError: nothing was moved, or the object is removed.
        """
        target = self.path_of(key)
        directories = self._rename(source, target, key, replace=replace)
        if directories is None:
            return False
        reach(renamed)
        try:
            for directory in directories:
                self.sync_directory(directory)
        except BlobStoreError:
            with suppress(OSError):
                target.unlink()
            raise
        self._directories.remember(key)
        reach(synced)
        return True

    def remove(self, key: str) -> None:
        """Remove an object and the directory it may leave empty; a missing one is fine.

        Raises:
            StorageUnavailableError: it is still there.
        """
        with disk_errors_translated(f"delete {key}"), suppress(FileNotFoundError, NotADirectoryError):
            self.path_of(key).unlink()
        self._directories.prune_for(key)

    def _judge(self, error: OSError, detail: str) -> BlobStoreError:
        """Tell a disk that is full, where the file that is given up is all that is lost, from one that can't write."""
        if is_full(error):
            return disk_error(error, f"flush: {detail}")
        return self.suspicion.arouse(detail)

    def _rename(self, source: Path, target: Path, key: str, *, replace: bool) -> tuple[Path, ...] | None:
        """Rename, creating directories again that a deletion beside us prunes between the two steps.

        Returns:
            The directories to make durable; `None` when the target exists and is not to be replaced.
        """
        rename = self.operations.rename if replace else self.operations.rename_new
        with disk_errors_translated(f"move {source.name} to {key}"):
            for _ in range(_MOST_MOVE_ATTEMPTS):
                try:
                    directories = self._directories.create_for(key)
                    rename(source, target)
                except FileExistsError:
                    return None
                except FileNotFoundError:
                    if not source.exists():
                        raise
                    self._directories.forget_all()
                else:
                    return directories
        raise StorageUnavailableError(f"the directory of {key} vanishes as often as it is created")
