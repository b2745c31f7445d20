"""Facts of the engine beneath: version, size, rows of each table, and the options that decide what survives a crash.

They differ from engine to engine and are for people only, so they are no statements of the catalogue.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from entrepot.metadata.sql.addresses import PostgresAddress, parse_address
from entrepot.metadata.sql.sqlite_connection import connect_for_reading, translate_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["EngineFacts", "read_engine_facts"]

_PATIENCE_SECONDS: Final = 10.0
_TABLES: Final = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
)
_PRAGMAS: Final = {
    "journal_mode": "PRAGMA journal_mode",
    "page_size": "PRAGMA page_size",
    "page_count": "PRAGMA page_count",
    "freelist_count": "PRAGMA freelist_count",
}
_POSTGRES_ROWS: Final = """
    SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE schemaname = current_schema() ORDER BY relname
"""
_POSTGRES_SIZE: Final = "SELECT pg_database_size(current_database())"
_POSTGRES_OPTIONS: Final = """
    SELECT name, setting FROM pg_settings WHERE name IN (
        'fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names', 'max_connections', 'wal_level',
        'default_transaction_read_only', 'shared_buffers', 'autovacuum', 'server_encoding', 'data_checksums',
        'reserved_connections', 'superuser_reserved_connections'
    ) ORDER BY name
"""
_POSTGRES_STATE: Final = """
    SELECT pg_is_in_recovery(), (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
           (SELECT count(*) FROM pg_stat_replication)
"""
# Whoever connects over a socket has no address: such processes run on the database's own machine.
_POSTGRES_ALLOWANCE: Final = """
    SELECT (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
           (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
           (SELECT count(DISTINCT coalesce(host(client_addr), '')) FROM pg_stat_activity
            WHERE datname = current_database() AND usename = current_user AND application_name = 'entrepot')
"""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine says of itself; `rows` are exact on SQLite and the statistics' estimate on PostgreSQL."""

    engine: Literal["sqlite", "postgresql"]
    version: str
    size_bytes: int
    rows: Mapping[str, int]
    options: Mapping[str, str]


async def read_engine_facts(url: str) -> EngineFacts:
    """Ask the database. Changes nothing; on SQLite every table is counted, which reads them.

    Raises:
        MetadataError: it can't be asked.
    """
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        return await _ask_postgres(address.url)
    return await asyncio.to_thread(_ask_sqlite, address.path)


def _ask_sqlite(path: Path) -> EngineFacts:
    try:
        with closing(connect_for_reading(path, _PATIENCE_SECONDS)) as connection:
            rows = {name: _count(connection, name) for (name,) in connection.execute(_TABLES).fetchall()}
            options = {name: str(connection.execute(sql).fetchone()[0]) for name, sql in _PRAGMAS.items()}
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
    return EngineFacts("sqlite", sqlite3.sqlite_version, path.stat().st_size, rows, options)


def _count(connection: sqlite3.Connection, table: str) -> int:
    # No parameter can stand for a table; the name is one that the database itself has just told.
    quoted = table.replace('"', '""')
    (number,) = connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()  # noqa: S608 - see above
    return int(number)


async def _ask_postgres(url: str) -> EngineFacts:
    import asyncpg  # noqa: PLC0415 - decision 0016: costly, and not needed on SQLite

    from entrepot.metadata.sql.postgres_errors import DRIVER_ERRORS  # noqa: PLC0415 - as above
    from entrepot.metadata.sql.postgres_errors import translate_error as translate  # noqa: PLC0415 - as above

    try:
        connection = await asyncpg.connect(
            url,
            timeout=_PATIENCE_SECONDS,
            command_timeout=_PATIENCE_SECONDS,
            server_settings={"application_name": "entrepot doctor"},
        )
        try:
            version = ".".join(str(part) for part in connection.get_server_version()[:2])
            rows = {name: int(count) for name, count in await connection.fetch(_POSTGRES_ROWS)}
            options = {name: str(setting) for name, setting in await connection.fetch(_POSTGRES_OPTIONS)}
            (state,) = await connection.fetch(_POSTGRES_STATE)
            (allowance,) = await connection.fetch(_POSTGRES_ALLOWANCE)
            size = int(await connection.fetchval(_POSTGRES_SIZE))
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        raise translate(error) from error
    standby, connections, standbys = state
    options |= {"is_standby": str(standby), "connections": str(connections), "standbys": str(standbys)}
    names = ("role_connection_limit", "database_connection_limit", "addresses_of_nodes")
    options |= {name: str(number) for name, number in zip(names, allowance, strict=True)}
    return EngineFacts("postgresql", version, size, rows, options)
