"""The database as checks ask it: one connection for reading, and only where its schema is that of this program."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from entrepot.settings import metadata_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = ["asked_database"]


@contextlib.asynccontextmanager
async def asked_database(settings: Settings, seconds: float) -> AsyncGenerator[Metadata | None]:
    """Open the database for at most `seconds`, opening and questions together; `None` where its schema is another.

    Raises:
        EntrepotError, TimeoutError: the database can't be asked.
    """
    from entrepot.metadata.sql.migrate import schema_version  # noqa: PLC0415 - loads drivers; only when asked
    from entrepot.metadata.sql.opening import open_metadata  # noqa: PLC0415 - as above

    url = metadata_url(settings)
    async with asyncio.timeout(seconds):
        current, newest = await schema_version(url)
        if current != newest:
            yield None
            return
        metadata = await open_metadata(url, 1, seconds)
        try:
            yield metadata
        finally:
            await metadata.aclose()
