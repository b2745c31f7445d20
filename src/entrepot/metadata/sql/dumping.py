"""Dumps of the database that an address names, and what is loaded into one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from entrepot.metadata.errors import RestoreUnfinishedError, SchemaMismatchError
from entrepot.metadata.sql.addresses import PostgresAddress, parse_address, require_local_filesystem
from entrepot.metadata.sql.migrate import schema_version
from entrepot.metadata.sql.schema import load_migrations
from entrepot.metadata.sql.sqlite_dump import dumping_sqlite
from entrepot.metadata.sql.sqlite_load import loading_sqlite, require_loadable_sqlite, reserve_sqlite

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.metadata.dumps import DumpSource, DumpTarget

__all__ = [
    "is_reserved",
    "open_dump",
    "open_load",
    "require_known_schema",
    "require_loadable",
    "reserve_for_load",
]


@asynccontextmanager
async def open_dump(url: str) -> AsyncGenerator[DumpSource]:
    """Take a consistent snapshot of a database in use.

    Raises:
        InvalidMetadataAddressError, MetadataUnavailableError: it can't be read.
    """
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        from entrepot.metadata.sql.postgres_dump import dumping_postgres  # noqa: PLC0415  # decision 0016

        async with dumping_postgres(address.url) as source:
            yield source
    else:
        async with dumping_sqlite(address.path) as source:
            yield source


def require_known_schema(version: int) -> None:
    """Refuse a dump of a newer program.

    Raises:
        SchemaMismatchError: this program does not know the schema.
    """
    newest = load_migrations()[-1].version
    if version > newest:
        raise SchemaMismatchError(
            version, newest, "restore with the version that made the backup, or a newer one"
        )


async def is_reserved(url: str) -> bool:
    """Tell whether a restore into the database was begun and not finished.

    Raises:
        MetadataUnavailableError: the database can't be reached.
    """
    try:
        await schema_version(url)
    except RestoreUnfinishedError:
        return True
    return False


async def require_loadable(url: str) -> bool:
    """Refuse what :func:`reserve_for_load` refuses, and return what it would, without marking or making anything.

    Raises:
        DatabaseNotEmptyError: it holds rows.
        MetadataError: it can't be used.
    """
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        from entrepot.metadata.sql.postgres_load import require_loadable_postgres  # noqa: PLC0415  # decision 0016

        return await require_loadable_postgres(address.url)
    return await require_loadable_sqlite(address.path)


async def reserve_for_load(url: str, snapshot: str) -> bool:
    """Mark an empty or new database as one that is being restored, so that no registry starts on it.

    A schema without rows is dropped. Returns whether it was marked already, by a restore that was not finished.

    Raises:
        DatabaseNotEmptyError: it holds rows; nothing was changed.
        MetadataError: it can't be used.
    """
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        from entrepot.metadata.sql.postgres_load import reserve_postgres  # noqa: PLC0415  # decision 0016

        return await reserve_postgres(address.url, snapshot)
    require_local_filesystem(address.path)
    return await reserve_sqlite(address.path, snapshot)


@asynccontextmanager
async def open_load(url: str, schema_version: int) -> AsyncGenerator[DumpTarget]:
    """Make the schema of a version in a marked database; all of it and of what is loaded is committed at the end.

    Raises:
        SchemaMismatchError: this program does not know the version.
        MetadataError: the database can't be used, is not marked, or does not take the rows.
    """
    require_known_schema(schema_version)
    migrations = [migration for migration in load_migrations() if migration.version <= schema_version]
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        from entrepot.metadata.sql.postgres_load import loading_postgres  # noqa: PLC0415  # decision 0016

        async with loading_postgres(address.url, migrations) as target:
            yield target
    else:
        async with loading_sqlite(address.path, migrations) as target:
            yield target
