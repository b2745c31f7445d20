"""The connections of one process to PostgreSQL, and the line of those who want one (F18).

A server that is out of connections refuses a new one at once. That is no reason to fail for whoever wants one while
this process holds others: they come back within the time of a statement, so it waits for one of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import asyncpg

from entrepot.metadata.sql.postgres_errors import DRIVER_ERRORS, NoConnectionGrantedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from asyncpg.pool import PoolConnectionProxy

__all__ = ["PostgresPool"]

_GROWTH_PAUSE_SECONDS: Final = 1.0
"""A refused connection costs the server a process; so only one more is asked for in this time."""


class PostgresPool:
    """Hands out the connections of an asyncpg pool. Belongs to one event loop.

    As many hold one or ask for one as there may be connections: `pool_size`, or as many as the server has granted, and
    one more each second to see whether it grants more again. All others wait in line.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._most = pool.get_max_size()
        self._granted = self._most
        self._inside = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._growth: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def held(self, timeout_seconds: float) -> AsyncGenerator[PoolConnectionProxy[asyncpg.Record]]:
        """Hold a connection for the body; raises what :meth:`acquire` does.

        What ends the body is raised, its cancellation above all, and not that the connection could not be handed back
        in time, as one on which a statement is under way.
        """
        connection = await self.acquire(timeout_seconds)
        try:
            yield connection
        except BaseException:
            with suppress(*DRIVER_ERRORS):
                await self.release(connection, timeout_seconds)
            raise
        await self.release(connection, timeout_seconds)

    async def acquire(self, timeout_seconds: float) -> PoolConnectionProxy[asyncpg.Record]:
        """Return a connection, for :meth:`release`, within `timeout_seconds`.

        Raises:
            NoConnectionGrantedError: the server grants no more, and all that this process has were in use.
            asyncpg.TooManyConnectionsError: it grants none, and this process has none.
            TimeoutError, OSError, asyncpg.PostgresError: none came in time, or the server can't be reached.
        """
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        is_first = False
        while True:
            await self._enter(deadline, is_first=is_first)
            try:
                connection = await self._connect(deadline)
            except BaseException:
                self._leave()
                raise
            if connection is not None:
                return connection
            self._leave()
            is_first = True

    async def release(self, connection: PoolConnectionProxy[asyncpg.Record], timeout_seconds: float) -> None:
        """Hand a connection back, broken or not."""
        try:
            await self._pool.release(connection, timeout=timeout_seconds)
        finally:
            self._leave()

    async def expire_connections(self) -> None:
        """Have every connection replaced before it is used again."""
        await self._pool.expire_connections()

    async def aclose(self) -> None:
        """Close all connections once they were handed back."""
        self._end_growth()
        await self._pool.close()

    def terminate(self) -> None:
        """Close all connections at once."""
        self._end_growth()
        self._pool.terminate()

    async def _connect(self, deadline: float) -> PoolConnectionProxy[asyncpg.Record] | None:
        """Return an idle connection or a new one; `None` when the server refused it and others may come free."""
        left = max(deadline - asyncio.get_running_loop().time(), 0.0)
        before = self._pool.get_size()
        try:
            connection = await self._pool.acquire(timeout=left)
        except asyncpg.TooManyConnectionsError:
            own = self._pool.get_size()
            if own == 0:
                raise
            self._granted = own
            self._grow_later()
            return None
        if self._granted < self._most and self._pool.get_size() > before:
            self._grow()  # the server granted a new one
        return connection

    async def _enter(self, deadline: float, *, is_first: bool) -> None:
        """Wait until there may be a connection; who was refused one a moment ago is the first in line."""
        if self._inside < self._granted and (is_first or not self._line):
            self._inside += 1
            return
        place = asyncio.get_running_loop().create_future()
        (self._line.appendleft if is_first else self._line.append)(place)
        try:
            async with asyncio.timeout_at(deadline):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._leave()  # let in at the same moment
            with suppress(ValueError):
                self._line.remove(place)
            if isinstance(error, TimeoutError) and self._granted < self._most:
                raise NoConnectionGrantedError(self._granted, self._most) from error
            raise

    def _leave(self) -> None:
        self._inside -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._line and self._inside < self._granted:
            place = self._line.popleft()
            if not place.done():
                self._inside += 1
                place.set_result(None)

    def _grow_later(self) -> None:
        if self._growth is None:
            self._growth = asyncio.get_running_loop().call_later(_GROWTH_PAUSE_SECONDS, self._grow)

    def _grow(self) -> None:
        """Let one more in; while all that may be in have a connection, there is a next time."""
        self._end_growth()
        self._granted = min(self._granted + 1, self._most)
        if self._granted <= min(self._pool.get_size(), self._most - 1):
            self._grow_later()  # nobody would ask the server for another one
        self._let_in()

    def _end_growth(self) -> None:
        if self._growth is not None:
            self._growth.cancel()
            self._growth = None
