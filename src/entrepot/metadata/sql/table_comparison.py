"""Compares what tables are with what the migrations make: plain ones, whose rows everybody sees alike.

Whoever owns the database can put a view in the place of a table, or a rule or a policy on it, that shows lists other
rows than it shows to whoever walks over all. What that is the database says itself, in words of its own; these are no
statements of the catalogue.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.addresses import PostgresAddress, parse_address
from entrepot.metadata.sql.sqlite_connection import connect_for_reading, translate_error
from entrepot.metadata.sql.verifying_connection import PATIENCE_SECONDS, verifying_postgres

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["AUDIT_TABLES", "compare_tables"]

AUDIT_TABLES: Final = ("audit_records", "audit_chain", "audit_checkpoints", "audit_spools")

# Each part names the table and what is wrong with it. A name is found as the registry's statements find it.
_POSTGRES: Final = """
    WITH asked AS (SELECT t.name, pg_catalog.to_regclass(t.name) AS oid FROM pg_catalog.unnest($1::text[]) AS t (name))
    SELECT a.name, 'is no table' FROM asked a LEFT JOIN pg_catalog.pg_class c ON c.oid = a.oid
        WHERE c.oid IS NULL OR c.relkind <> 'r'
    UNION ALL
    SELECT a.name, 'has security by rows' FROM asked a JOIN pg_catalog.pg_class c ON c.oid = a.oid
        WHERE c.relrowsecurity OR c.relforcerowsecurity
    UNION ALL
    SELECT a.name, 'has the policy ' || p.polname FROM asked a JOIN pg_catalog.pg_policy p ON p.polrelid = a.oid
    UNION ALL
    SELECT a.name, 'has the rule ' || r.rulename FROM asked a JOIN pg_catalog.pg_rewrite r ON r.ev_class = a.oid
        JOIN pg_catalog.pg_class c ON c.oid = a.oid WHERE c.relkind = 'r'
    UNION ALL
    SELECT a.name, 'has the trigger ' || g.tgname FROM asked a JOIN pg_catalog.pg_trigger g ON g.tgrelid = a.oid
        WHERE NOT g.tgisinternal
    UNION ALL
    SELECT a.name, 'has rows of ' || h.inhrelid::regclass::text
        FROM asked a JOIN pg_catalog.pg_inherits h ON h.inhparent = a.oid
    UNION ALL
    SELECT a.name, 'is a part of ' || h.inhparent::regclass::text
        FROM asked a JOIN pg_catalog.pg_inherits h ON h.inhrelid = a.oid
    ORDER BY 1, 2
"""
# Neither a view nor a virtual table has pages of its own.
_SQLITE: Final = """
    SELECT type, name, lower(tbl_name), rootpage FROM sqlite_master
    WHERE (type = 'trigger' AND lower(tbl_name) = ?1) OR (type IN ('table', 'view') AND lower(name) = ?1)
"""


async def compare_tables(url: str, tables: Sequence[str]) -> Sequence[str]:
    """Return what of these is not as the migrations made it, a sentence each.

    Args:
        tables: by their names in our schema, which are no input.

    Raises:
        MetadataError: the database can't be asked.
    """
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        return [f"{table} {what}" for table, what in await _ask_postgres(address.url, tables)]
    return await asyncio.to_thread(_ask_sqlite, address.path, tables)


def _ask_sqlite(path: Path, tables: Iterable[str]) -> list[str]:
    found: list[str] = []
    try:
        with closing(connect_for_reading(path, PATIENCE_SECONDS)) as connection:
            for table in tables:
                rows = connection.execute(_SQLITE, (table,)).fetchall()
                if not any(kind == "table" and page for kind, _, _, page in rows):
                    found.append(f"{table} is no table")
                found += [f"{table} has the trigger {name}" for kind, name, *_ in rows if kind == "trigger"]
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
    return found


async def _ask_postgres(url: str, tables: Sequence[str]) -> Sequence[tuple[str, str]]:
    async with verifying_postgres(url) as connection:
        return [(name, what) for name, what in await connection.fetch(_POSTGRES, list(tables))]
