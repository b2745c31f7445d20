"""A consistent snapshot of a PostgreSQL database: one REPEATABLE READ transaction, and cursors in it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from entrepot.metadata.dumps import DumpedColumn, DumpFacts
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.dump_statements import FACTS, TableShape, batch_rows, kind_of, select_all
from entrepot.metadata.sql.postgres_errors import DRIVER_ERRORS, translate_error
from entrepot.metadata.sql.statements import render

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from entrepot.metadata.dumps import DumpedValue, DumpSource

__all__ = ["bulk_connection", "describe_postgres_table", "dumping_postgres"]

_CONNECT_SECONDS: Final = 10.0
_COLUMNS: Final = """
    SELECT column_name::text, data_type::text FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position
"""
_KEY: Final = """
    SELECT a.attname::text
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int[]) WITH ORDINALITY AS k(number, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE i.indrelid = to_regclass($1) AND i.indisprimary ORDER BY k.position
"""


class PostgresDump:
    """Implements :class:`entrepot.metadata.dumps.DumpSource` within one transaction."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], facts: DumpFacts) -> None:
        self._connection = connection
        self.facts = facts

    async def columns(self, table: str) -> Sequence[DumpedColumn]:
        """See the protocol."""
        return (await describe_postgres_table(self._connection, table)).columns

    async def rows(self, table: str) -> AsyncGenerator[Sequence[Sequence[DumpedValue]]]:
        """See the protocol."""
        try:
            shape = await describe_postgres_table(self._connection, table)
            cursor = await self._connection.cursor(select_all(shape))
            while batch := await cursor.fetch(batch_rows(shape)):
                yield [tuple(record) for record in batch]
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error


async def describe_postgres_table(connection: asyncpg.Connection[asyncpg.Record], table: str) -> TableShape:
    """Return the columns of a table, none for one that is not there."""
    columns = await connection.fetch(_COLUMNS, table)
    key = await connection.fetch(_KEY, table)
    return TableShape(
        table,
        tuple(DumpedColumn(name, kind_of(declared)) for name, declared in columns),
        tuple(name for (name,) in key),
    )


@asynccontextmanager
async def bulk_connection(url: str) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
    """Connect for work on whole tables, whose statements may take long.

    Raises:
        MetadataUnavailableError: the server can't be reached.
    """
    try:
        connection = await asyncpg.connect(
            url,
            timeout=_CONNECT_SECONDS,
            server_settings={
                "application_name": "entrepot backup",
                "statement_timeout": "0",
                # A registry that still runs on a database to be restored into must not be waited for.
                "lock_timeout": "10000",
                "idle_in_transaction_session_timeout": "0",
            },
        )
    except DRIVER_ERRORS as error:
        raise translate_error(error) from error
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def dumping_postgres(url: str) -> AsyncGenerator[DumpSource]:
    """Take a snapshot of the database and hold it until the block ends. Nobody waits for it.

    Raises:
        MetadataUnavailableError: the server can't be reached.
    """
    async with bulk_connection(url) as connection:
        # Ended with the connection: it changes nothing.
        transaction = connection.transaction(isolation="repeatable_read", readonly=True)
        try:
            await transaction.start()
            row = await connection.fetchrow(render(FACTS, "postgresql").sql)
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error
        if row is None:
            raise MetadataUnavailableError("the row that identifies the database is gone")
        incarnation, version, last_fact, taken_at = row
        yield PostgresDump(connection, DumpFacts("postgresql", version, incarnation, taken_at, last_fact))
