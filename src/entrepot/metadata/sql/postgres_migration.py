"""Migrations of a PostgreSQL database: under an advisory lock, each one transaction, on an empty one all in one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.postgres_errors import DRIVER_ERRORS, is_conflict, translate_error
from entrepot.metadata.sql.schema import (
    CREATE_LEDGER,
    RECORD_MIGRATION,
    render_migration,
    require_whole,
    split_script,
)
from entrepot.metadata.sql.statements import render

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from entrepot.metadata.sql.schema import Migration

__all__ = ["migrate_postgres", "read_postgres_version"]

_LOCK_KEY: Final = 0x656E74726570  # "entrep": one migration at a time per database
_CONNECT_SECONDS: Final = 10.0
_OLDEST_SERVER: Final = 15
_LOCK_WAIT: Final = "SET LOCAL lock_timeout = '2s'"
"""How long a migration waits for a table that somebody uses, such as `pg_dump`: others queue up behind it, and
have longer time-outs than this."""
_ATTEMPTS: Final = 40
_PAUSE_SECONDS: Final = 3.0
"""Between two attempts, for those who queued up."""


async def read_postgres_version(url: str) -> int:
    """Return the version of the schema, 0 when there is none.

    Raises:
        MetadataUnavailableError: the server can't be reached or is too old.
    """
    async with _connected(url) as connection:
        return max(await _applied(connection), default=0)


async def migrate_postgres(
    url: str, choose: Callable[[Mapping[int, str]], tuple[Migration, ...]], report: Callable[[str], None]
) -> tuple[int, tuple[Migration, ...]]:
    """Apply the migrations that `choose` picks, given the checksums of those applied by version.

    Returns:
        The version found and the migrations applied.

    Raises:
        MetadataUnavailableError: the server can't be reached or is too old, or a table was in use for minutes.
    """
    async with _connected(url) as connection:
        # Held by the session: closing the connection, or dying, gives it back.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY)
        applied = await _applied(connection)
        chosen = choose(applied)
        for together in [(one,) for one in chosen] if applied else [chosen]:
            await _apply_patiently(connection, together, report)
        return max(applied, default=0), chosen


async def _apply_patiently(
    connection: asyncpg.Connection[asyncpg.Record],
    together: tuple[Migration, ...],
    report: Callable[[str], None],
) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            await _apply(connection, together, report)
        except asyncpg.PostgresError as error:
            if not is_conflict(error) or attempt == _ATTEMPTS:
                raise
            report(f"a table is in use ({error.message}); trying again, {_ATTEMPTS - attempt} times at most")
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return


async def _apply(
    connection: asyncpg.Connection[asyncpg.Record],
    together: tuple[Migration, ...],
    report: Callable[[str], None],
) -> None:
    async with connection.transaction():
        await connection.execute(_LOCK_WAIT)
        for migration in together:
            report(f"applying {migration.version:04d}_{migration.name}")
            await connection.execute(render_migration(CREATE_LEDGER, "postgresql"))
            for statement in split_script(render_migration(migration.template, "postgresql")):
                await connection.execute(statement)
                reach(Failpoint.MIGRATION_STATEMENT_RUN)
            record = render(RECORD_MIGRATION, "postgresql")
            await connection.execute(record.sql, *record.arguments(migration.ledger_entry()))
            reach(Failpoint.MIGRATION_RECORDED)
    reach(Failpoint.MIGRATION_COMMITTED)


@asynccontextmanager
async def _connected(url: str) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
    try:
        connection = await asyncpg.connect(
            url, timeout=_CONNECT_SECONDS, server_settings={"application_name": "entrepot migrate"}
        )
        try:
            found = connection.get_server_version().major
            if found < _OLDEST_SERVER:
                raise MetadataUnavailableError(
                    f"PostgreSQL {found} is too old, {_OLDEST_SERVER} or newer is needed"
                )
            yield connection
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        raise translate_error(error) from error


async def _applied(connection: asyncpg.Connection[asyncpg.Record]) -> dict[int, str]:
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return {}
    rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
    return require_whole({row["version"]: row["checksum"] for row in rows})
