"""Stops a repair that would set a whole registry aside because its volume is not mounted."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from entrepot.lifecycle.errors import MassDamageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.blobstore.driver import BlobStore, StoredObject

__all__ = ["MassDamageGuard"]

_TOLERATED: Final = 10
_TOLERATED_SHARE: Final = 0.05


class MassDamageGuard:
    """Counts what was looked at and what was damaged; asked before each repair."""

    def __init__(self, blobs: BlobStore, *, active: bool) -> None:
        """Take the store; one that is not `active` never stops anything."""
        self._blobs = blobs
        self._active = active
        self._examined = 0
        self._damaged = 0
        self._has_objects = False

    async def require_plausible(self, examined: int, damaged: int) -> None:
        """Take a batch into account.

        Raises:
            MassDamageError: more than ten, and more than one in twenty, are damaged; or the store is empty.
        """
        self._examined += examined
        self._damaged += damaged
        if not self._active or damaged == 0:
            return
        if self._damaged > _TOLERATED and self._damaged > _TOLERATED_SHARE * self._examined:
            raise MassDamageError(self._damaged, self._examined)
        if not self._has_objects:
            self._has_objects = await _holds_anything(self._blobs)
            if not self._has_objects:
                raise MassDamageError(self._damaged, self._examined, "the blob store holds nothing at all")


async def _holds_anything(blobs: BlobStore) -> bool:
    listing = cast("AsyncGenerator[StoredObject, Any]", blobs.list_objects(""))
    async with aclosing(listing) as objects:
        async for _ in objects:
            return True
    return False
