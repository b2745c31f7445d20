"""A program of the version before goes on working on the schema of the head: migrations only add (rolling upgrades).

What is promised is one version back, of the landed ones. When a migration takes something away for good, the frozen
versions that still need it lose their `statements.json.xz` in the same commit, which says so.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg
import pytest

from entrepot.metadata.sql.migrate import apply_migrations, migrate
from entrepot.metadata.sql.schema import load_migrations
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.upgrade.frozen_data import compatible_names, frozen_statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.drivers.postgres_server import PostgresServer

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Schema: TypeAlias = "tuple[dict[tuple[str, str], tuple[str, bool]], set[tuple[str, str]]]"
_COLUMNS: Final = """
    SELECT table_name::text, column_name::text, data_type::text, is_nullable::text = 'YES'
        OR column_default IS NOT NULL OR is_identity = 'YES'
    FROM information_schema.columns WHERE table_schema = 'public'
"""
_UNIQUE: Final = """
    SELECT tablename::text, indexdef::text FROM pg_indexes
    WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%'
"""
_CHECKS: Final = """
    SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace
"""


@pytest.mark.parametrize("name", compatible_names())
async def test_sqlite_takes_every_statement_of_an_older_program(name: str, tmp_path: Path) -> None:
    """Each one is prepared on the schema of the head, with the parameters that program gives it."""
    url = f"sqlite://{tmp_path}/metadata.db"
    await migrate(url, None, unheard)
    faults: list[str] = []
    with closing(sqlite3.connect(RawDatabase(url).path)) as connection:
        for statement, rendered in frozen_statements(name).statements["sqlite"].items():
            try:
                connection.execute(f"EXPLAIN {rendered['sql']}", [None] * len(rendered["parameters"]))
            except sqlite3.Error as error:
                faults.append(f"{statement}: {error}")

    assert faults == []


@pytest.fixture(scope="module")
def migrated_url(postgres_server: PostgresServer) -> str:
    """Return the address of a database with the schema of the head."""
    url = postgres_server.create_database()
    asyncio.run(migrate(url, None, unheard))
    return url


@pytest.fixture
async def migrated(migrated_url: str) -> AsyncIterator[Connection]:
    """Connect to a database with the schema of the head; what a test changes is rolled back."""
    connection = await asyncpg.connect(migrated_url)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.mark.parametrize("name", compatible_names())
async def test_postgresql_takes_every_statement_of_an_older_program(name: str, migrated: Connection) -> None:
    """The same on the other engine, which also checks the types of parameters and results."""
    faults: list[str] = []
    for statement, rendered in frozen_statements(name).statements["postgresql"].items():
        try:
            async with migrated.transaction():
                prepared = await migrated.prepare(rendered["sql"])
        except asyncpg.PostgresError as error:
            faults.append(f"{statement}: {error}")
            continue
        assert len(prepared.get_parameters()) == len(rendered["parameters"])

    assert faults == []


@pytest.mark.parametrize("name", compatible_names())
async def test_migrations_only_add_what_an_older_program_may_leave_out(
    name: str, migrated: Connection, empty_postgres_url: str
) -> None:
    """New columns may be left out of an INSERT, old ones keep their type, and old tables get no new restriction."""
    schema = frozen_statements(name).schema
    await apply_migrations(empty_postgres_url, load_migrations()[:schema], None, unheard)
    old = await asyncpg.connect(empty_postgres_url)
    before = await _schema_of(old)
    await old.close()

    assert before[0]
    assert _faults(before, await _schema_of(migrated)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("ALTER TABLE blobs ADD COLUMN extra text NOT NULL", "blobs.extra must be given"),
        ("ALTER TABLE blobs DROP COLUMN pool", "blobs.pool is gone"),
        ("ALTER TABLE blobs ALTER COLUMN size_bytes TYPE numeric", "blobs.size_bytes was bigint"),
        ("CREATE UNIQUE INDEX x ON blobs (size_bytes)", "blobs: CREATE UNIQUE INDEX x"),
        ("ALTER TABLE blobs ADD CHECK (size_bytes > 5)", "blobs: CHECK"),
    ],
)
async def test_a_migration_that_would_stop_older_programs_is_noticed(
    change: str, fault: str, migrated: Connection
) -> None:
    """The comparison finds each of the ways in which a migration can do so."""
    before = await _schema_of(migrated)
    await migrated.execute(change)

    found = _faults(before, await _schema_of(migrated))
    assert [one for one in found if fault in one]


async def _schema_of(connection: Connection) -> Schema:
    """Return type and "may be left out" by table and column, and the restrictions on tables."""
    columns = {
        (table, column): (kind, bool(free)) for table, column, kind, free in await connection.fetch(_COLUMNS)
    }
    rows = [*await connection.fetch(_UNIQUE), *await connection.fetch(_CHECKS)]
    return columns, {(str(table), str(definition)) for table, definition in rows}


def _faults(old: Schema, new: Schema) -> list[str]:
    tables = {table for table, _ in old[0]}
    faults: list[str] = []
    for (table, column), (kind, _) in old[0].items():
        found = new[0].get((table, column))
        if found is None:
            faults.append(f"{table}.{column} is gone")
        elif found[0] != kind:
            faults.append(f"{table}.{column} was {kind} and is {found[0]}")
    for (table, column), (_, may_be_left_out) in new[0].items():
        if table in tables and (table, column) not in old[0] and not may_be_left_out:
            faults.append(f"{table}.{column} must be given")
    added = sorted(new[1] - old[1], key=repr)
    faults += [f"{table}: {definition}" for table, definition in added if table in tables]
    return faults
