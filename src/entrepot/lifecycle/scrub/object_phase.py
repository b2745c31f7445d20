"""Lists the store and counts what no row mentions. It removes nothing: that is the sweep's work, after its grace."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from entrepot.blobstore.keys import BLOBS, INDEX, MANIFESTS, UPLOADS, stored_key_of, upload_of
from entrepot.lifecycle.scrub.steps import Step

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.blobstore.driver import StoredObject
    from entrepot.lifecycle.scrub.options import ScrubGround, ScrubOptions

__all__ = ["ObjectPhase"]

_AREAS: Final = (BLOBS, INDEX, MANIFESTS, UPLOADS)
_PAGE: Final = 500


class ObjectPhase:
    """See :class:`entrepot.lifecycle.scrub.steps.Phase`. Orphans are told as the sweep does: list, then ask."""

    def __init__(self, ground: ScrubGround, options: ScrubOptions) -> None:
        self._metadata = ground.metadata
        self._blobs = ground.blobs
        self._options = options

    @property
    def name(self) -> str:
        """What people call it."""
        return "objects"

    @property
    def in_bytes(self) -> bool:
        """Whether progress is counted in bytes."""
        return False

    async def total(self) -> int | None:
        """Nobody counts them."""
        return None

    async def steps(self, cursor: str) -> AsyncGenerator[Step, None]:
        """Go through the areas of the store, page by page."""
        if self._options.repositories:
            return
        for area in _AREAS:
            if cursor and not cursor.startswith(area) and _AREAS.index(area) < _place(cursor):
                continue
            page: dict[str, int] = {}
            start = cursor if cursor.startswith(area) else ""
            listing = cast("AsyncGenerator[StoredObject, Any]", self._blobs.list_objects(area, start))
            async with aclosing(listing) as objects:
                async for found in objects:
                    page[found.key] = found.size_bytes
                    if len(page) == _PAGE:
                        yield await self._count(page, found.key)
                        page = {}
            if page:
                yield await self._count(page, max(page))

    async def _count(self, page: dict[str, int], cursor: str) -> Step:
        owners = await self._metadata.orphans.owners(
            list({upload_of(key) for key in page}), list({stored_key_of(key) for key in page})
        )
        orphans = [
            size
            for key, size in page.items()
            if upload_of(key) not in owners.uploads and stored_key_of(key) not in owners.keys
        ]
        return Step(cursor, len(page), orphans=len(orphans), orphan_bytes=sum(orphans))


def _place(cursor: str) -> int:
    """Return which area a key lies in."""
    return next(index for index, area in enumerate(_AREAS) if cursor.startswith(area))
