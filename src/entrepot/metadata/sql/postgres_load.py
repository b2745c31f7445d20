"""Fills an empty PostgreSQL database with the rows of a dump, in one transaction: by COPY, then its sequences."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from entrepot.metadata.dumps import DUMPED_TABLES, WORK_TABLES, DatabaseNotEmptyError
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.audit_records import LOAD, record_values
from entrepot.metadata.sql.dump_statements import OUR_TABLES, require_columns
from entrepot.metadata.sql.postgres_dump import bulk_connection, describe_postgres_table
from entrepot.metadata.sql.postgres_errors import DRIVER_ERRORS, translate_error
from entrepot.metadata.sql.schema import (
    CREATE_LEDGER,
    RECORD_MIGRATION,
    mark_entry,
    render_migration,
    split_script,
)
from entrepot.metadata.sql.statements import render

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import asyncpg

    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.dumps import DumpedValue, DumpTarget
    from entrepot.metadata.sql.schema import Migration
    from entrepot.metadata.sql.statements import Value

__all__ = ["loading_postgres", "require_loadable_postgres", "reserve_postgres"]


class PostgresLoad:
    """Implements :class:`entrepot.metadata.dumps.DumpTarget`."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[DumpedValue]]) -> None:
        """See the protocol. COPY takes numbers that the table would give out by itself."""
        try:
            require_columns(await describe_postgres_table(self._connection, table), columns)
            await self._connection.copy_records_to_table(table, records=rows, columns=columns)
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error

    async def keep_numbers_above(self, table: str, number: int) -> None:
        """See the protocol."""
        try:
            await self._connection.execute(
                "SELECT setval(pg_get_serial_sequence($1, 'id'), "
                "greatest($2::bigint, nextval(pg_get_serial_sequence($1, 'id'))))",
                table,
                number,
            )
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error

    async def add_record(self, record: NewAuditRecord) -> None:
        """See the protocol. What was copied did not move the numbers that the table gives out."""
        append = render(LOAD, "postgresql")
        try:
            greatest = await self._connection.fetchval("SELECT coalesce(max(id), 0) FROM audit_records")
            await self.keep_numbers_above("audit_records", greatest)
            await self._connection.execute(append.sql, *append.arguments(record_values(record)))
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error


async def require_loadable_postgres(url: str) -> bool:
    """Tell whether a database is marked as one that is being restored.

    Raises:
        DatabaseNotEmptyError: it holds rows.
    """
    async with bulk_connection(url) as connection:
        try:
            tables = await _tables(connection)
            if await _is_marked(connection, tables):
                return True
            await _require_empty(connection, tables)
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error
    return False


async def reserve_postgres(url: str, snapshot: str) -> bool:
    """Mark an empty database as one that is being restored; tell whether it was marked already.

    Raises:
        DatabaseNotEmptyError: it holds rows; nothing was changed.
    """
    async with bulk_connection(url) as connection:
        try:
            async with connection.transaction():
                tables = await _tables(connection)
                if await _is_marked(connection, tables):
                    return True
                await _require_empty(connection, tables)
                for table in reversed(OUR_TABLES):
                    if table in tables:
                        await connection.execute(f"DROP TABLE {table}")
                await connection.execute(render_migration(CREATE_LEDGER, "postgresql"))
                await _record(connection, mark_entry(snapshot))
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error
    return False


@asynccontextmanager
async def loading_postgres(url: str, migrations: Sequence[Migration]) -> AsyncGenerator[DumpTarget]:
    """Make the schema in a marked database and give out a target; commit when the block ends well.

    Raises:
        MetadataError: the database is not marked, or rows refer to rows that are missing.
    """
    async with bulk_connection(url) as connection:
        transaction = connection.transaction()
        try:
            await transaction.start()
            await _make_schema(connection, migrations)
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error
        # Whatever leaves the block otherwise closes the connection, which undoes the transaction.
        yield PostgresLoad(connection)
        try:
            await _set_sequences(connection)
            await transaction.commit()
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error


async def _make_schema(
    connection: asyncpg.Connection[asyncpg.Record], migrations: Sequence[Migration]
) -> None:
    if not await _is_marked(connection, await _tables(connection)):
        raise MetadataUnavailableError("the database is not reserved for a restore")
    await connection.execute("DELETE FROM schema_migrations")
    for migration in migrations:
        # One by one: the driver fails on a script without any statement, as of a migration for SQLite only.
        for statement in split_script(render_migration(migration.template, "postgresql")):
            await connection.execute(statement)
        await _record(connection, migration.ledger_entry())
    tables = await _tables(connection)
    for table in reversed(DUMPED_TABLES):
        if table in tables:
            await connection.execute(f"DELETE FROM {table}")  # noqa: S608  # a name of our own list


async def _set_sequences(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Let every table that numbers its rows go on after the greatest number that was loaded."""
    numbered = await connection.fetch(
        "SELECT table_name::text FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND column_name = 'id' AND is_identity = 'YES'"
    )
    for (table,) in numbered:
        if table in OUR_TABLES:
            greatest = await connection.fetchval(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608  # as above
            if greatest:
                await PostgresLoad(connection).keep_numbers_above(table, greatest)


async def _tables(connection: asyncpg.Connection[asyncpg.Record]) -> set[str]:
    rows = await connection.fetch(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()"
    )
    return {name for (name,) in rows}


async def _is_marked(connection: asyncpg.Connection[asyncpg.Record], tables: set[str]) -> bool:
    if "schema_migrations" not in tables:
        return False
    return bool(await connection.fetch("SELECT 1 FROM schema_migrations WHERE version = 0"))


async def _require_empty(connection: asyncpg.Connection[asyncpg.Record], tables: set[str]) -> None:
    for table in DUMPED_TABLES:
        if (
            table in tables
            and table not in WORK_TABLES
            and await connection.fetch(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608  # our own list
        ):
            raise DatabaseNotEmptyError(table)


async def _record(connection: asyncpg.Connection[asyncpg.Record], entry: dict[str, Value]) -> None:
    record = render(RECORD_MIGRATION, "postgresql")
    await connection.execute(record.sql, *record.arguments(entry))
