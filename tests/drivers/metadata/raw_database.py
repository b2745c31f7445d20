"""A database looked at and changed past the store, so that tests can make states no unit makes yet."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RawDatabase", "unheard"]


def unheard(line: str) -> None:
    """Take a line of a migration's report that no test looks at."""


_CLEAR: Final = """
DO $$
DECLARE
    names text[] := ARRAY(
        SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('instance', 'schema_migrations')
    );
    name text;
BEGIN
    EXECUTE 'LOCK TABLE ' || array_to_string(names, ', ') || ' IN ACCESS EXCLUSIVE MODE';
    SET LOCAL session_replication_role = replica;
    FOREACH name IN ARRAY names LOOP
        EXECUTE 'DELETE FROM ' || name;
    END LOOP;
END $$
"""
"""A tenth of what TRUNCATE takes, which makes every file of a table and of its indexes anew. As it does, this waits for
whatever the test before left behind, and asks no foreign key for the order."""


@dataclass(frozen=True, slots=True)
class RawDatabase:
    """Any SQL on either engine, each call on a connection of its own."""

    url: str

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file."""
        return self.url.startswith("sqlite://")

    @property
    def path(self) -> Path:
        """Where the SQLite file lies."""
        return Path(self.url.removeprefix("sqlite://"))

    async def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement, durably, and return its rows."""
        (rows,) = await self.fetch_each([statement])
        return rows

    async def fetch_each(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """Run statements one after the other on one connection, each durably, and return the rows of each."""
        if self.is_sqlite:
            return await asyncio.to_thread(self._fetch_sqlite, statements)
        connection = await asyncpg.connect(self.url)
        try:
            return [[tuple(row) for row in await connection.fetch(statement)] for statement in statements]
        finally:
            await connection.close()

    def run_elsewhere(self, statement: str) -> None:
        """Run a statement while this event loop stands still: within a unit, or before it hears of what was done."""
        thread = threading.Thread(target=lambda: asyncio.run(self.fetch(statement)))
        thread.start()
        thread.join()

    async def value(self, statement: str) -> Any:
        """Return the only value of the only row."""
        ((found,),) = await self.fetch(statement)
        return found

    async def count(self, table: str) -> int:
        """Return how many rows a table has."""
        found: int = await self.value(f"SELECT count(*) FROM {table}")
        return found

    async def clear(self) -> None:
        """Empty every table of a PostgreSQL database but those that identify it."""
        await self.fetch(_CLEAR)

    def _fetch_sqlite(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=30)) as connection:
            return [connection.execute(statement).fetchall() for statement in statements]
