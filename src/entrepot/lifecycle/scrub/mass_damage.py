"""Stops a repair that would set a whole registry aside because its volume is not mounted, or no longer.

A pass takes hours or weeks, and a volume can go at any moment of it. So the store is proven before whatever is changed.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from entrepot.lifecycle.errors import MassDamageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from entrepot.blobstore.driver import BlobStore, StoredObject

__all__ = ["MassDamageGuard"]

_TOLERATED: Final = 10
_TOLERATED_SHARE: Final = 0.05


class MassDamageGuard:
    """Counts what was looked at and what was damaged; asked before each repair."""

    def __init__(self, blobs: BlobStore, find_lack: Callable[[], Awaitable[str]], *, active: bool) -> None:
        """Take the store, and what tells that it lacks something (:func:`.store_ownership.find_lack`).

        One that is not `active` never stops anything.
        """
        self._blobs = blobs
        self._find_lack = find_lack
        self._active = active
        self._examined = 0
        self._damaged = 0
        self._has_objects = False

    async def require_right_store(self) -> None:
        """Have the store prove once more that it is the database's.

        Raises:
            MassDamageError: it lacks what the database has written there.
            MetadataError, BlobStoreError: it can't be told.
        """
        lack = await self._find_lack() if self._active else ""
        if lack:
            raise MassDamageError(0, 0, lack)

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
