"""Compares the indexes of a table with its rows: one that lacks a row hides that from whoever searches by it.

Whoever owns the database can have an index lack rows. What an index is differs from engine to engine, and which there
are the database says itself, so these are no statements of the catalogue. Operators make indexes of their own, which
are no fault of anybody: what can't be compared is not known, and told as that.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from entrepot.metadata.sql.addresses import PostgresAddress, parse_address
from entrepot.metadata.sql.schema import load_migrations, render_migration
from entrepot.metadata.sql.sqlite_connection import connect_for_reading, translate_error
from entrepot.metadata.sql.verifying_connection import PATIENCE_SECONDS, verifying_postgres

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import asyncpg

__all__ = ["IndexComparison", "IndexFault", "compare_indexes"]

_OF_INDEX: Final = re.compile(r"(?:missing from|entries in|entry in|values in) index (\S+)")
_POSTGRES_INDEXES: Final = """
    SELECT c.relname, i.indisvalid AND i.indisready AND i.indislive, m.amname = 'btree',
        pg_catalog.pg_get_expr(i.indpred, i.indrelid),
        ARRAY(
            SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, true)
                || coalesce(' COLLATE ' || pg_catalog.quote_ident(s.nspname) || '.'
                    || pg_catalog.quote_ident(l.collname), '')
                || coalesce(' USING OPERATOR(' || pg_catalog.quote_ident(t.nspname) || '.' || r.oprname || ')', '')
                || CASE WHEN i.indoption[k - 1] & 2 = 2 THEN ' NULLS FIRST' ELSE ' NULLS LAST' END
            FROM pg_catalog.generate_series(1, i.indnkeyatts::int) AS k
            LEFT JOIN pg_catalog.pg_collation l ON l.oid = i.indcollation[k - 1]
            LEFT JOIN pg_catalog.pg_namespace s ON s.oid = l.collnamespace
            LEFT JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[k - 1]
            LEFT JOIN pg_catalog.pg_amop a ON a.amopfamily = o.opcfamily AND a.amoplefttype = o.opcintype
                AND a.amoprighttype = o.opcintype AND a.amopstrategy = 1 + 4 * (i.indoption[k - 1] & 1)
            LEFT JOIN pg_catalog.pg_operator r ON r.oid = a.amopopr
            LEFT JOIN pg_catalog.pg_namespace t ON t.oid = r.oprnamespace
            ORDER BY k
        )
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = c.relam
    WHERE i.indrelid = $1::text::regclass ORDER BY c.relname
"""
"""The operators by which a B-tree puts rows into order are "less" (1) and, of what descends, "greater" (5)."""
_OURS: Final = re.compile(r"CREATE (?:UNIQUE )?INDEX (\w+) ON (\w+)")
_BY_ROWS: Final = (
    "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_seqscan = on"
)
_BY_INDEX: Final = (
    "SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on; SET LOCAL enable_seqscan = off; "
    "SET LOCAL enable_sort = off"
)
_AMCHECK: Final = """
    SELECT pg_catalog.quote_ident(n.nspname)
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'
"""
_PLAINLY: Final = (
    "SET LOCAL enable_bitmapscan = off; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off"
)


@dataclass(frozen=True, slots=True)
class IndexFault:
    """An index that does not have what its table has; `index` is empty where it is the table itself."""

    index: str
    message: str


@dataclass(frozen=True, slots=True)
class IndexComparison:
    """Which indexes lack rows, or are not used though a migration made them, and of which nothing is known, and why."""

    faults: Sequence[IndexFault]
    unknown: Sequence[IndexFault] = ()


@dataclass(frozen=True, slots=True)
class _Index:
    """An index of PostgreSQL: whether it is kept and used, of which rows it is, and by what they stand in it."""

    name: str
    is_whole: bool
    is_tree: bool
    condition: str
    order: str


async def compare_indexes(url: str, table: str) -> IndexComparison:
    """Compare the indexes of a table with its rows. Reads all of both; memory does not grow with them.

    Args:
        table: by its name in our schema, which is no input.

    Raises:
        MetadataError: the database can't be asked.
    """
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        return await _ask_postgres(address.url, table)
    return IndexComparison(await _ask_sqlite(address.path, table))


async def _ask_sqlite(path: Path, table: str) -> Sequence[IndexFault]:
    opened: list[sqlite3.Connection] = []
    try:
        told = await asyncio.to_thread(_check_sqlite, path, table, opened)
    except asyncio.CancelledError:
        for connection in opened:
            with suppress(
                sqlite3.ProgrammingError
            ):  # it is closed by now: the answer came at the same moment
                connection.interrupt()
        raise
    faults: dict[str, IndexFault] = {}
    # A line that names a row first: beside those, SQLite says how many there are.
    for line in sorted(told, key=lambda line: not line.startswith("row ")):
        found = _OF_INDEX.search(line)
        name = "" if found is None else found[1]
        faults.setdefault(name, IndexFault(name, line))
    return list(faults.values())


def _check_sqlite(path: Path, table: str, opened: list[sqlite3.Connection]) -> list[str]:
    """Return what SQLite finds wrong with a table and its indexes, a hundred lines at most."""
    try:
        with closing(connect_for_reading(path, PATIENCE_SECONDS)) as connection:
            opened.append(connection)
            rows = connection.execute(
                "SELECT integrity_check FROM pragma_integrity_check(?)", (table,)
            ).fetchall()
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
    lines = [str(line) for (line,) in rows]
    return [] if lines == ["ok"] else lines


async def _ask_postgres(url: str, table: str) -> IndexComparison:
    async with verifying_postgres(url) as connection:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            compared = await _compare_postgres(connection, table)
        known = {fault.index for fault in compared.faults}
        disordered = await _check_order(connection, table, known)
        return IndexComparison([*compared.faults, *disordered], compared.unknown)


async def _compare_postgres(connection: asyncpg.Connection[asyncpg.Record], table: str) -> IndexComparison:
    """Count all rows without an index and with each, in one view of the database."""
    found = [
        _Index(name, is_whole, is_tree, condition or "true", ", ".join(order))
        for name, is_whole, is_tree, condition, order in await connection.fetch(_POSTGRES_INDEXES, table)
    ]
    ours = _indexes_of_migrations(table)
    faults = [
        IndexFault(index.name, f"the index {index.name} is not kept or not used: it is invalid, or not ready")
        for index in found
        if index.name in ours and not index.is_whole
    ]
    unknown = [
        IndexFault(
            index.name, f"the index {index.name} was not compared: it is no B-tree, or not ready for use"
        )
        for index in found
        if not index.is_tree or (index.name not in ours and not index.is_whole)
    ]
    indexes = [index for index in found if index.is_tree and index.is_whole]
    await connection.execute(_PLAINLY)
    await connection.execute(_BY_ROWS)
    counts = ", ".join(f"count(*) FILTER (WHERE {index.condition})" for index in indexes)
    (rows,) = await connection.fetch(f"SELECT {counts or 'count(*)'} FROM {table}")  # noqa: S608 - names of our schema
    await connection.execute(_BY_INDEX)
    for index, expected in zip(indexes, rows, strict=bool(indexes)):
        counted = await _count_by(connection, table, index)
        if counted is None:
            message = (
                f"the index {index.name} was not compared: the database does not walk the rows by it, as where "
                "another index is equal"
            )
            unknown.append(IndexFault(index.name, message))
        elif counted != expected:
            message = f"{counted} of {expected} rows are in the index {index.name}"
            faults.append(IndexFault(index.name, message))
    return IndexComparison(faults, unknown)


async def _count_by(connection: asyncpg.Connection[asyncpg.Record], table: str, index: _Index) -> int | None:
    """Return how many rows are in an index, `None` where they can't be walked by it."""
    walk = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {index.condition} ORDER BY {index.order} OFFSET 0) AS x"  # noqa: S608 - what the catalogue says of the index
    plan: Any = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {walk}"))
    if index.name not in _indexes_of(plan[0]["Plan"]):
        return None
    return int(await connection.fetchval(walk))


def _indexes_of_migrations(table: str) -> frozenset[str]:
    """Return the names of the indexes that migrations make, and of those by which PostgreSQL keeps keys."""
    made = {
        name
        for migration in load_migrations()
        for name, of in _OURS.findall(render_migration(migration.template, "postgresql"))
        if of == table
    }
    return frozenset({*made, f"{table}_pkey", f"{table}_record_id_key"})


async def _check_order(
    connection: asyncpg.Connection[asyncpg.Record], table: str, known: Collection[str]
) -> Sequence[IndexFault]:
    """Have amcheck look at the other indexes, where it may be asked: it also finds rows in a wrong place."""
    from asyncpg import exceptions  # noqa: PLC0415 - as above

    schema = await connection.fetchval(_AMCHECK)
    if schema is None:
        return []
    faults: list[IndexFault] = []
    for name, is_whole, is_tree, *_ in await connection.fetch(_POSTGRES_INDEXES, table):
        try:
            if is_tree and is_whole and name not in known:
                await connection.fetchval(f"SELECT {schema}.bt_index_check($1::text::regclass, true)", name)
        except (exceptions.IndexCorruptedError, exceptions.DataCorruptedError) as error:
            faults.append(IndexFault(name, f"the index {name} is damaged: {error}"))
        except exceptions.InsufficientPrivilegeError:
            break
    return faults


def _indexes_of(plan: dict[str, Any]) -> Iterator[str]:
    if "Index Name" in plan:
        yield plan["Index Name"]
    for part in plan.get("Plans", ()):
        yield from _indexes_of(part)
