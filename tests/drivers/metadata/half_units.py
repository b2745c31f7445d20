"""Two units step by step on PostgreSQL: one runs half on a connection of its own, and the other has to wait for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import asyncpg

from entrepot.metadata.sql.catalogue import STATEMENTS
from entrepot.metadata.sql.postgres_executor import PostgresUnitExecutor
from entrepot.metadata.sql.statements import render_all
from entrepot.metadata.sql.transaction import SqlTransaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = ["half_a_unit", "started_and_waiting"]

T = TypeVar("T")

_LOOK_SECONDS: Final = 0.15


@asynccontextmanager
async def half_a_unit(database: RawDatabase) -> AsyncIterator[SqlTransaction]:
    """Begin a unit; it is committed at the end of the block."""
    async with (
        asyncpg.create_pool(database.url, min_size=1, max_size=1) as pool,
        pool.acquire() as connection,
    ):
        executor = PostgresUnitExecutor(connection, render_all(STATEMENTS, "postgresql"), None)
        await executor.begin()
        yield SqlTransaction.over(executor)
        await executor.commit()


async def started_and_waiting(other: Awaitable[T]) -> asyncio.Future[T]:
    """Start the other side and see that it waits."""
    started = asyncio.ensure_future(other)
    await asyncio.wait((started,), timeout=_LOOK_SECONDS)
    assert not started.done(), f"did not wait: {started}"
    return started
