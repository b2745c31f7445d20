"""An index that lacks rows of the audit log is found, whichever of those that there are, on both engines (I11)."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from entrepot.audit.sealer import Sealer
from entrepot.metadata.sql.index_comparison import compare_indexes
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.running.audit_material import pull_record

if TYPE_CHECKING:
    from pathlib import Path

_POSTGRES_INDEXES = (
    "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'audit_records'::regclass ORDER BY 1"
)
_SQLITE_INDEXES = (
    "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'audit_records' AND sql <> ''"
)
_COLUMNS = (
    "record_id, at, action, outcome, subject, user_name, address, project, object_kind, object_name, request_id, body, "
    "disclosure, project_id"
)


@pytest.fixture
async def own_database(empty_url: str) -> RawDatabase:
    """Return a database of this test alone, with five sealed records and two that wait."""
    await initialise_if_empty(empty_url, unheard)
    metadata = await open_metadata(empty_url, 1, 5.0)
    try:
        await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(5)]))
        await Sealer(metadata).run()
        await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(5, 7)]))
    finally:
        await metadata.aclose()
    raw = RawDatabase(empty_url)
    await raw.fetch("UPDATE audit_records SET outcome = 'failure'")  # some indexes have those only
    return raw


def _put_back_lacking(path: Path, index: str) -> None:
    """Make an index of SQLite anew without one row, and have the schema tell what it told before."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        ((sql,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (index,)).fetchall()
        connection.execute(f"DROP INDEX {index}")
        lacking = "sequence IS NOT 3 AND id <> 7"
        connection.execute(f"{sql} AND {lacking}" if " WHERE " in sql else f"{sql} WHERE {lacking}")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, index))
        ((version,),) = connection.execute("PRAGMA schema_version").fetchall()
        connection.execute(f"PRAGMA schema_version = {version + 1}")


async def _write_past(database: RawDatabase, index: str) -> None:
    """Put two rows into the table of PostgreSQL while it takes an index for one that is not kept."""
    ready = f"UPDATE pg_index SET indisready = %s WHERE indexrelid = '{index}'::regclass"
    await database.fetch(ready % "false")
    for state in ("NULL, NULL", "99, 'ff'"):
        await database.fetch(
            f"INSERT INTO audit_records ({_COLUMNS}, sequence, chain_hash) "
            f"SELECT {_COLUMNS.replace('record_id', 'record_id || random()::text')}, {state} FROM audit_records LIMIT 1"
        )
    await database.fetch(ready % "true")


async def test_every_index_of_the_log_that_lacks_a_row_is_found_and_a_sound_one_is_not_i11(
    own_database: RawDatabase,
) -> None:
    """The list of indexes is the database's own, so that none of a later version is left out."""
    database = own_database
    listed = await database.fetch(_SQLITE_INDEXES if database.is_sqlite else _POSTGRES_INDEXES)
    indexes = sorted(name for (name,) in listed)
    assert {"audit_records_project", "audit_records_sequence", "audit_records_unsealed"} <= set(indexes)
    assert await compare_indexes(database.url, "audit_records") == []

    for index in indexes:
        if database.is_sqlite:
            await asyncio.to_thread(_put_back_lacking, database.path, index)
        else:
            await _write_past(database, index)
        found = await compare_indexes(database.url, "audit_records")
        assert [fault.index for fault in found] == [index]
        await database.fetch(f"REINDEX {index}" if database.is_sqlite else f"REINDEX INDEX {index}")
        if not database.is_sqlite:
            await database.fetch("DELETE FROM audit_records WHERE sequence = 99")
        assert await compare_indexes(database.url, "audit_records") == []


async def test_an_index_of_postgresql_that_is_not_used_is_told_of_i11(own_database: RawDatabase) -> None:
    """As one is left by a CREATE INDEX CONCURRENTLY that failed."""
    if own_database.is_sqlite:
        return
    await own_database.fetch(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'audit_records_at'::regclass"
    )

    (fault,) = await compare_indexes(own_database.url, "audit_records")

    assert (fault.index, "invalid" in fault.message) == ("audit_records_at", True)


async def test_an_index_of_postgresql_whose_rows_stand_in_another_order_is_found_where_amcheck_is_there_i11(
    own_database: RawDatabase,
) -> None:
    """All rows are in it, and a search finds none."""
    if own_database.is_sqlite:
        return
    await own_database.fetch("CREATE EXTENSION amcheck")
    assert await compare_indexes(own_database.url, "audit_records") == []
    await own_database.fetch(
        "UPDATE pg_index SET indoption = '3 3' WHERE indexrelid = 'audit_records_at'::regclass"
    )

    (fault,) = await compare_indexes(own_database.url, "audit_records")

    assert (fault.index, "damaged" in fault.message) == ("audit_records_at", True)
