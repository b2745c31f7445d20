"""Turns what the kernel says about a disk into the errors of a blob store, in one place."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.errors import BlobStoreError, StorageFullError, StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["disk_error", "disk_errors_translated", "is_full"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """Whether the disk, or the share of it that this user may take, has no room left."""
    return error.errno in _FULL


def disk_error(error: OSError, action: str) -> BlobStoreError:
    """Return the blob store's error for `error`, which happened while the driver tried to `action`."""
    detail = f"could not {action}: {error}"
    if is_full(error):
        return StorageFullError(detail)
    return StorageUnavailableError(detail)


@contextmanager
def disk_errors_translated(action: str) -> Generator[None]:
    """Raise :func:`disk_error` instead of any OSError of the block.

    Raises:
        StorageFullError: ENOSPC, EDQUOT.
        StorageUnavailableError: EIO, EROFS, EMFILE, EACCES and everything else.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(error, action) from error
