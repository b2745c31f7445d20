"""A relay between a store and PostgreSQL that loses the connection around a COMMIT (F15)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

__all__ = ["Loss", "PostgresRelay"]

_COMMIT = b"COMMIT;"
"""With its semicolon: a transaction also begins with these letters, in READ COMMITTED."""


class Loss(Enum):
    """What the next COMMIT meets with."""

    NONE = auto()
    REQUEST = auto()
    """It never reaches the server, which then rolls back."""
    REPLY = auto()
    """It is done, but nobody hears of it."""


class PostgresRelay:
    """Listens on a socket in `directory` and passes everything on to the server of `url`, unless it `is_silent`.

    `swallowed` is set once something arrived that it did not pass on.
    """

    def __init__(self, url: str, directory: Path) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        name = f".s.PGSQL.{query['port'][0]}"
        self._target = f"{query['host'][0]}/{name}"
        self._socket = directory / name
        self.url = f"postgresql://postgres@{parts.path}?host={directory}&port={query['port'][0]}"
        self.loss = Loss.NONE
        self.is_silent = False
        self.swallowed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._relay, self._socket)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        back = asyncio.ensure_future(_copy(server_reader, writer))
        with suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(65536):
                if _COMMIT in data and self.loss is not Loss.NONE:
                    loss, self.loss = self.loss, Loss.NONE
                    back.cancel()
                    await asyncio.wait((back,))
                    if loss is Loss.REPLY:
                        server_writer.write(data)
                        assert await server_reader.read(65536)
                    break
                if self.is_silent:
                    self.swallowed.set()
                    continue
                server_writer.write(data)
                await server_writer.drain()
        back.cancel()
        await asyncio.wait((back,))
        writer.close()
        server_writer.close()
        self._tasks.discard(task)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
