"""A connection to PostgreSQL for whoever verifies what the database says of itself."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import asyncpg

__all__ = ["PATIENCE_SECONDS", "verifying_postgres"]

PATIENCE_SECONDS: Final = 10.0


@asynccontextmanager
async def verifying_postgres(url: str) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
    """Connect, and close at the end; what the driver raises within the block is translated.

    Raises:
        MetadataError: the server can't be reached, or refused a statement.
    """
    import asyncpg  # noqa: PLC0415 - decision 0016: costly, and not needed on SQLite

    from entrepot.metadata.sql.postgres_errors import DRIVER_ERRORS, translate_error  # noqa: PLC0415 - as above

    try:
        connection = await asyncpg.connect(
            url, timeout=PATIENCE_SECONDS, server_settings={"application_name": "entrepot audit verify"}
        )
        try:
            yield connection
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        raise translate_error(error) from error
