"""Tells which store kept a request from being answered, and why, for the metric that an operator watches (F5-F10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.blobstore.errors import StorageFullError, StorageSuspectError, StorageUnavailableError
from entrepot.metadata.errors import MetadataFullError, MetadataUnavailableError

if TYPE_CHECKING:
    from entrepot.kernel.errors import EntrepotError

__all__ = ["store_failure"]

_FAILURES: Final[tuple[tuple[type[EntrepotError], tuple[str, str]], ...]] = (
    (StorageFullError, ("blobs", "full")),
    (StorageSuspectError, ("blobs", "suspect")),
    (StorageUnavailableError, ("blobs", "unavailable")),
    (MetadataFullError, ("metadata", "full")),
    (MetadataUnavailableError, ("metadata", "unavailable")),
)
"""Labels by class, a class before its ancestors."""


def store_failure(error: EntrepotError) -> tuple[str, str] | None:
    """Return store and reason; `None` when the error is not the failure of a store."""
    return next((labels for kind, labels in _FAILURES if isinstance(error, kind)), None)
