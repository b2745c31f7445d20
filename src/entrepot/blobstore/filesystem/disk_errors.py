"""Turns what the kernel says about a disk into the errors of a blob store, in one place."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.errors import BlobStoreError, StorageFullError, StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["disk_error", "disk_errors_translated"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def disk_error(error: OSError, action: str) -> BlobStoreError:
    """Return the blob store's error for `error`, which happened while the driver tried to `action`."""
    detail = f"could not {action}: {error}"
    if error.errno in _FULL:
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
