"""Which project a name is that of, for records of what was refused: names are used again, numbers are not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import MetadataError

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata

__all__ = ["ProjectNumbers"]

_PATIENCE_SECONDS: Final = 1.0


class ProjectNumbers:
    """Asks the database, by one statement."""

    def __init__(self, metadata: Metadata) -> None:
        self._projects = metadata.projects

    async def find(self, name: str) -> int | None:
        """Return the number of the project that has a name now, 0 without one; `None` where nobody can tell.

        A refusal is on record and answered all the same then (I11).
        """
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await self._projects.number_of(name) or 0
        except (MetadataError, TimeoutError):
            return None
