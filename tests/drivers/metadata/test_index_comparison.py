"""An index that lacks rows of the audit log is found, whichever of those that there are, on both engines (I11)."""

from __future__ import annotations

import asyncio
import sqlite3
import time
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
    assert (await compare_indexes(database.url, "audit_records")).faults == []

    for index in indexes:
        if database.is_sqlite:
            await asyncio.to_thread(_put_back_lacking, database.path, index)
        else:
            await _write_past(database, index)
        found = (await compare_indexes(database.url, "audit_records")).faults
        assert [fault.index for fault in found] == [index]
        await database.fetch(f"REINDEX {index}" if database.is_sqlite else f"REINDEX INDEX {index}")
        if not database.is_sqlite:
            await database.fetch("DELETE FROM audit_records WHERE sequence = 99")
        assert (await compare_indexes(database.url, "audit_records")).faults == []


async def test_an_index_of_postgresql_that_is_not_used_is_told_of_i11(own_database: RawDatabase) -> None:
    """As one is left by a CREATE INDEX CONCURRENTLY that failed."""
    if own_database.is_sqlite:
        return
    await own_database.fetch(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'audit_records_at'::regclass"
    )

    (fault,) = (await compare_indexes(own_database.url, "audit_records")).faults

    assert (fault.index, "invalid" in fault.message) == ("audit_records_at", True)


async def test_an_index_of_postgresql_whose_rows_stand_in_another_order_is_found_where_amcheck_is_there_i11(
    own_database: RawDatabase,
) -> None:
    """All rows are in it, and a search finds none."""
    if own_database.is_sqlite:
        return
    await own_database.fetch("CREATE EXTENSION amcheck")
    assert (await compare_indexes(own_database.url, "audit_records")).faults == []
    await own_database.fetch(
        "UPDATE pg_index SET indoption = '3 3' WHERE indexrelid = 'audit_records_at'::regclass"
    )

    (fault,) = (await compare_indexes(own_database.url, "audit_records")).faults

    assert (fault.index, "damaged" in fault.message) == ("audit_records_at", True)


_OF_OPERATORS = {
    "USING gin (object_name gin_trgm_ops)": "no B-tree",
    "USING hash (request_id)": "no B-tree",
    "USING brin (at)": "no B-tree",
    "(object_name text_pattern_ops)": "",
    "(user_name DESC NULLS LAST, at)": "",
    "(at DESC, project NULLS FIRST) WHERE user_name LIKE '%a%' AND project <> 'x'": "",
    "(lower(object_name))": "",
    '(user_name COLLATE "POSIX", at DESC)': "",
    "(request_id) INCLUDE (id)": "",
}
"""Indexes that an operator may make, and why one is not compared."""


async def test_indexes_that_an_operator_made_are_no_faults_and_what_can_be_compared_is_i11(
    own_database: RawDatabase,
) -> None:
    """Also in other orders than that of our own, by operators and collations of their own, and with amcheck."""
    if own_database.is_sqlite:
        return
    await own_database.fetch_each(["CREATE EXTENSION pg_trgm", "CREATE EXTENSION amcheck"])
    for definition, reason in _OF_OPERATORS.items():
        await own_database.fetch(f"CREATE INDEX of_operator ON audit_records {definition}")
        found = await compare_indexes(own_database.url, "audit_records")
        told = [(one.index, reason in one.message) for one in found.unknown]
        assert (definition, found.faults, told) == (
            definition,
            [],
            [("of_operator", True)] if reason else [],
        )
        await own_database.fetch("DROP INDEX of_operator")


async def test_an_index_that_is_equal_to_one_of_ours_makes_neither_a_fault_i11(
    own_database: RawDatabase,
) -> None:
    """The database walks by one of the two; nothing is known of the other, but where amcheck is there."""
    if own_database.is_sqlite:
        return
    await own_database.fetch("CREATE INDEX of_operator ON audit_records (user_name, id)")
    found = await compare_indexes(own_database.url, "audit_records")
    assert found.faults == []
    (unknown,) = found.unknown
    assert unknown.index in {"of_operator", "audit_records_user"}
    assert "another index is equal" in unknown.message


async def test_an_index_of_an_operator_that_lacks_rows_is_a_fault_as_lists_may_go_by_it_i11(
    own_database: RawDatabase,
) -> None:
    if own_database.is_sqlite:
        return
    await own_database.fetch("CREATE INDEX of_operator ON audit_records (object_kind DESC NULLS LAST, at)")
    await _write_past(own_database, "of_operator")

    found = await compare_indexes(own_database.url, "audit_records")

    assert [(one.index, one.message.partition(" rows")[0]) for one in found.faults] == [
        ("of_operator", "7 of 9")
    ]


async def test_an_index_of_an_operator_that_is_not_ready_yet_is_no_fault_i11(
    own_database: RawDatabase,
) -> None:
    """As while CREATE INDEX CONCURRENTLY is under way."""
    if own_database.is_sqlite:
        return
    await own_database.fetch("CREATE INDEX of_operator ON audit_records (object_kind)")
    await own_database.fetch(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'of_operator'::regclass"
    )

    found = await compare_indexes(own_database.url, "audit_records")

    assert (found.faults, [one.index for one in found.unknown]) == ([], ["of_operator"])


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_comparison_that_is_given_up_as_its_answer_comes_is_given_up(
    own_database: RawDatabase,
) -> None:
    """Its connection is closed then; told of that, whoever pressed Ctrl-C would look for a fault of the database."""
    comparing = asyncio.ensure_future(compare_indexes(own_database.url, "audit_records"))
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251 - so that the loop hears of the answer and of the end at once
    comparing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await comparing
