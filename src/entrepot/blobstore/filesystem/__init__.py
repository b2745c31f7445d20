"""A blob store on a local disk: one file per object, locks against zombies, fsync before every promise."""

from entrepot.blobstore.filesystem.durable import DurableOperations
from entrepot.blobstore.filesystem.filesystem_kind import UNSUITABLE_KINDS, filesystem_kind
from entrepot.blobstore.filesystem.store import FilesystemBlobStore

__all__ = ["UNSUITABLE_KINDS", "DurableOperations", "FilesystemBlobStore", "filesystem_kind"]
