"""Holds the order of changes on either engine, so that requests wait for it which were decided before."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from typing import TypeVar

    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

    T = TypeVar("T")

__all__ = ["Announced", "Order"]

_PATIENCE_SECONDS: Final = 60.0
_WAITING: Final = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


class Announced:
    """A store, of which is known how many units it was given."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self.units = 0

    def __getattr__(self, name: str) -> Any:
        """Return what the store has."""
        return getattr(self._metadata, name)

    async def write(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        """Count, and write."""
        self.units += 1
        return await self._metadata.write(unit)


class Order:
    """The order of changes, as a test holds it: the row that units lock, or all of a file."""

    def __init__(self, database: RawDatabase) -> None:
        self._database = database
        self._file: sqlite3.Connection | None = None
        self._server: Any = None
        self._watcher: Any = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Order]:
        """Connect."""
        if self._database.is_sqlite:
            with contextlib.closing(
                sqlite3.connect(self._database.path, isolation_level=None, timeout=60)
            ) as self._file:
                yield self
            return
        self._server = await asyncpg.connect(self._database.url)
        self._watcher = await asyncpg.connect(self._database.url)
        try:
            yield self
        finally:
            await self._watcher.close()
            await self._server.close()

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep every unit of a request from going on; what is run meanwhile is committed at the end."""
        await self.run("BEGIN IMMEDIATE" if self._file is not None else "BEGIN")
        try:
            if self._file is None:
                await self.run("SELECT id FROM instance WHERE id = 1 FOR UPDATE")
            yield
        finally:
            await self.run("COMMIT")

    async def run(self, statement: str) -> None:
        """Run a statement on the connection that holds the order."""
        if self._file is not None:
            self._file.execute(statement)
        else:
            await self._server.execute(statement)

    async def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        """Return rows, as they are committed."""
        if self._file is not None:
            return self._file.execute(statement).fetchall()
        return [tuple(row) for row in await self._watcher.fetch(statement)]

    async def contents(self, tables: Mapping[str, str]) -> dict[str, Sequence[tuple[Any, ...]]]:
        """Return by table what its statement finds."""
        return {table: await self.fetch(statement) for table, statement in tables.items()}

    async def wait_for(self, store: Announced, units: int, waiting: int) -> bool:
        """Wait until a store was given so many units, and so many wait on the server; tell whether it came to that."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            if store.units >= units and await self._are_waiting(waiting):
                return True
            await asyncio.sleep(0.002)
        return False

    async def _are_waiting(self, count: int) -> bool:
        if self._file is not None:
            return True  # units have one line there, in the order in which they were given
        return bool(await self._watcher.fetchval(_WAITING) >= count)
