"""Compares the indexes of a table with its rows: one that lacks a row hides that from whoever searches by it.

Whoever owns the database can have an index lack rows. What an index is differs from engine to engine, and which there
are the database says itself, so these are no statements of the catalogue.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from entrepot.metadata.sql.addresses import PostgresAddress, parse_address
from entrepot.metadata.sql.sqlite_connection import connect_for_reading, translate_error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import asyncpg

__all__ = ["IndexFault", "compare_indexes"]

_PATIENCE_SECONDS: Final = 10.0
_OF_INDEX: Final = re.compile(r"(?:missing from|entries in|entry in|values in) index (\S+)")
_POSTGRES_INDEXES: Final = """
    SELECT c.relname, i.indisvalid AND i.indisready AND i.indislive, pg_catalog.pg_get_expr(i.indpred, i.indrelid),
        ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, true)
            FROM pg_catalog.generate_series(1, i.indnkeyatts::int) AS k ORDER BY k)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = $1::text::regclass ORDER BY c.relname
"""
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
class _Index:
    """An index of PostgreSQL: whether it is kept and used, of which rows it is, and by what they stand in it."""

    name: str
    is_whole: bool
    condition: str
    order: str


async def compare_indexes(url: str, table: str) -> Sequence[IndexFault]:
    """Return the indexes of a table that lack rows of it. Reads all of both; memory does not grow with them.

    Args:
        table: by its name in our schema, which is no input.

    Raises:
        MetadataError: the database can't be asked.
    """
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        return await _ask_postgres(address.url, table)
    return await _ask_sqlite(address.path, table)


async def _ask_sqlite(path: Path, table: str) -> Sequence[IndexFault]:
    opened: list[sqlite3.Connection] = []
    try:
        told = await asyncio.to_thread(_check_sqlite, path, table, opened)
    except asyncio.CancelledError:
        for connection in opened:
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
        with closing(connect_for_reading(path, _PATIENCE_SECONDS)) as connection:
            opened.append(connection)
            rows = connection.execute(
                "SELECT integrity_check FROM pragma_integrity_check(?)", (table,)
            ).fetchall()
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
    lines = [str(line) for (line,) in rows]
    return [] if lines == ["ok"] else lines


async def _ask_postgres(url: str, table: str) -> Sequence[IndexFault]:
    import asyncpg  # noqa: PLC0415 - decision 0016: costly, and not needed on SQLite

    from entrepot.metadata.sql.postgres_errors import DRIVER_ERRORS  # noqa: PLC0415 - as above
    from entrepot.metadata.sql.postgres_errors import translate_error as translate  # noqa: PLC0415 - as above

    try:
        connection = await asyncpg.connect(
            url, timeout=_PATIENCE_SECONDS, server_settings={"application_name": "entrepot audit verify"}
        )
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                faults = await _compare_postgres(connection, table)
            return [*faults, *await _check_order(connection, table, {fault.index for fault in faults})]
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        raise translate(error) from error


async def _compare_postgres(
    connection: asyncpg.Connection[asyncpg.Record], table: str
) -> Sequence[IndexFault]:
    """Count all rows without an index and with each, in one view of the database."""
    indexes = [
        _Index(name, is_whole, condition or "true", ", ".join(order))
        for name, is_whole, condition, order in await connection.fetch(_POSTGRES_INDEXES, table)
    ]
    await connection.execute(_PLAINLY)
    await connection.execute(_BY_ROWS)
    counts = ", ".join(f"count(*) FILTER (WHERE {index.condition})" for index in indexes)
    (rows,) = await connection.fetch(f"SELECT {counts or 'count(*)'} FROM {table}")  # noqa: S608 - names of our schema
    await connection.execute(_BY_INDEX)
    faults: list[IndexFault] = []
    for index, expected in zip(indexes, rows, strict=bool(indexes)):
        message = await _difference(connection, table, index, expected)
        faults += [IndexFault(index.name, message)] if message else []
    return faults


async def _difference(
    connection: asyncpg.Connection[asyncpg.Record], table: str, index: _Index, expected: int
) -> str:
    if not index.is_whole:
        return f"the index {index.name} is not kept or not used: it is invalid, or not ready"
    walk = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {index.condition} ORDER BY {index.order} OFFSET 0) AS x"  # noqa: S608 - what the catalogue says of the index
    plan: Any = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {walk}"))
    if index.name not in _indexes_of(plan[0]["Plan"]):
        return f"the rows could not be walked by the index {index.name}, so nothing is known of it"
    found = int(await connection.fetchval(walk))
    return "" if found == expected else f"{found} of {expected} rows are in the index {index.name}"


async def _check_order(
    connection: asyncpg.Connection[asyncpg.Record], table: str, known: Collection[str]
) -> Sequence[IndexFault]:
    """Have amcheck look at the other indexes, where it may be asked: it also finds rows in a wrong place."""
    from asyncpg import exceptions  # noqa: PLC0415 - as above

    schema = await connection.fetchval(_AMCHECK)
    if schema is None:
        return []
    faults: list[IndexFault] = []
    for name, *_ in await connection.fetch(_POSTGRES_INDEXES, table):
        try:
            if name not in known:
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
