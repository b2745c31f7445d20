"""Opening the metadata store that an address names, once its schema is known to fit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from entrepot.metadata.sql.addresses import PostgresAddress, parse_address, require_local_filesystem
from entrepot.metadata.sql.migrate import schema_version
from entrepot.metadata.sql.schema import require_current
from entrepot.metadata.sql.sqlite import SqliteMetadata

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import StatementObserver
    from entrepot.metadata.store import Metadata

__all__ = ["open_metadata"]


async def open_metadata(
    url: str,
    pool_size: int,
    statement_timeout_seconds: float,
    observer: StatementObserver | None = None,
) -> Metadata:
    """Open the store at `sqlite:///abs/path.db` or `postgresql://…`.

    Args:
        url: where the database lies.
        pool_size: how many connections to PostgreSQL this process may hold; SQLite needs no such number.
        statement_timeout_seconds: after this a single statement is given up.
        observer: is told of every statement and commit; absent, nothing is counted and nothing paid for it.

    Raises:
        InvalidMetadataAddressError: `url` has neither form.
        MetadataUnavailableError: the database can't be reached.
        NetworkFilesystemError: the SQLite file lies where other machines may write to it.
        SchemaMismatchError: the database is empty (`found` 0), older or newer than this program.
    """
    address = parse_address(url)
    if not isinstance(address, PostgresAddress):
        require_local_filesystem(address.path)
    require_current(*await schema_version(url))
    if isinstance(address, PostgresAddress):
        from entrepot.metadata.sql.postgres import PostgresMetadata  # noqa: PLC0415  # decision 0016: costly

        return await PostgresMetadata.connect(address.url, pool_size, statement_timeout_seconds, observer)
    return await asyncio.to_thread(SqliteMetadata, address.path, statement_timeout_seconds, observer)
