"""Listing the repositories of the whole registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from entrepot.auth.grants import CatalogGrant
    from entrepot.metadata.records import NamePage
    from entrepot.metadata.store import Metadata

__all__ = ["Catalog"]


class Catalog:
    """Reads the names of repositories; a page costs one SQL statement."""

    def __init__(self, metadata: Metadata) -> None:
        self._catalog = metadata.catalog

    async def list_repositories(self, _grant: CatalogGrant, after: str, limit: int) -> NamePage:
        """Return up to `limit` names after `after`, in byte order."""
        return await self._catalog.list_names(after, limit)
