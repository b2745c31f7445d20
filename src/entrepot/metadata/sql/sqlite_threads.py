"""Threads that read a SQLite file, each with a connection of its own while it reads."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.sqlite_connection import connect_for_reading, is_interrupted, translate_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from entrepot.metadata.sql.statements import RenderedStatement, Row, Value

__all__ = ["ReadingThreads"]

_STEPS_BETWEEN_LOOKS: Final = 100_000
"""After how many steps of SQLite's machine a statement is asked whether it is to go on, some milliseconds."""


class ReadingThreads:
    """As many threads as connections, so that none waits for one.

    Attributes:
        executor: runs what calls :meth:`fetch`.
    """

    def __init__(self, path: Path, count: int, timeout_seconds: float, name: str) -> None:
        """Open the connections; they wait for locks for `timeout_seconds`. Blocks.

        Raises:
            MetadataUnavailableError: the file can't be opened.
        """
        self._path = path
        self._connections = [connect_for_reading(path, timeout_seconds) for _ in range(count)]
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for connection in self._connections:
            self._idle.put(connection)
        self.executor = ThreadPoolExecutor(count, thread_name_prefix=name)

    def fetch(
        self, rendered: RenderedStatement, arguments: list[Value], is_over: Callable[[], bool]
    ) -> list[Row] | None:
        """Return all rows, or `None` where `is_over` ended the statement. Blocks; for threads of the executor.

        Raises:
            MetadataError: SQLite refused it.
        """
        connection = self._idle.get()
        connection.set_progress_handler(is_over, _STEPS_BETWEEN_LOOKS)
        try:
            return connection.execute(rendered.sql, arguments).fetchall()
        except sqlite3.Error as error:
            if is_interrupted(error):
                return None
            raise translate_error(error, self._path) from error
        finally:
            connection.set_progress_handler(None, 0)
            self._idle.put(connection)

    def stop(self) -> Sequence[sqlite3.Connection]:
        """Wait for reads under way, and return all connections, which are the caller's to close. Blocks."""
        self.executor.shutdown(wait=True)
        return self._connections
