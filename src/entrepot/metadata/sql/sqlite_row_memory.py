"""Rows of point reads, kept for as long as SQLite itself shows that the statement would find them again (decision 60).

Whether anything was committed since is looked at before each use. If so, statements run as ever, and the number that
triggers count at each change of the tables in question is read once, between requests: most commits, as those of
audit records, leave it as it was, and with it the rows.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import OrderedDict
from time import perf_counter
from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.sqlite_log_index import LogIndex, are_one_state
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.kernel.loop_allowance import LoopAllowance
    from entrepot.metadata.sql.statements import Row, Value

__all__ = ["RowMemory"]

# A schema that changed counts as well: triggers may be missing for a moment.
STATE: Final = Statement(
    "row_changes.state", "SELECT c.number, v.schema_version FROM row_changes c, pragma_schema_version v"
)

_MOST_ROWS: Final = 16_384
"""As many as tags whose targets are guessed (decision 43); a row takes up to 700 bytes."""


class RowMemory:
    """The rows that one connection of the event loop has read. Not for other threads."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        allowance: LoopAllowance,
    ) -> None:
        """Begin with nothing. Blocks: `connection` reads once, so that it has its log's index open."""
        self._connection = connection
        self._allowance = allowance
        self._index = LogIndex.of(path.resolve()) if self._read_state() is not None else None
        # In order: in a plain dictionary, a look for the first one walks over all that were removed.
        self._rows: OrderedDict[tuple[Value, ...], Row] = OrderedDict()
        self._header = b""
        self._state: Row | None = None
        self._is_current = False
        self._is_asked = False

    def find(self, key: tuple[Value, ...]) -> Row | None:
        """Return what the statement would return now, `()` for no row; `None` where that is not known."""
        index = self._index
        if index is None:
            return None
        if index.header() != self._header:
            self._is_current = False
            if not self._is_asked:
                self._is_asked = True
                asyncio.get_running_loop().call_soon(self._ask)
            return None
        return self._rows.get(key)

    def keep(self, key: tuple[Value, ...], row: Row | None) -> None:
        """Keep what the statement returned after :meth:`find`, without an `await` between the two.

        It may be newer than what the header named then. It is no older, and the next look finds another header.
        Bytes of manifests have a memory of their own, which is bounded by their length.
        """
        if not self._is_current or (row is not None and any(isinstance(value, bytes) for value in row)):
            return
        if len(self._rows) >= _MOST_ROWS:
            self._rows.popitem(last=False)
        self._rows[key] = row or ()

    def end(self) -> None:
        """Look at nothing any more. On the event loop, before the connection is closed: its memory goes with it."""
        self._index = None

    def _ask(self) -> None:
        """Find out whether commits changed what is kept. What fails is tried again at the next look."""
        self._is_asked = False
        started = perf_counter()
        if self._index is None or not self._allowance.allows(started):
            return
        header = self._index.header()
        state = self._read_state()
        if state is None or not are_one_state(header):
            return
        self._allowance.record(started, perf_counter())
        if state != self._state:
            self._rows.clear()
            self._state = state
        self._header = header
        self._is_current = True

    def _read_state(self) -> Row | None:
        try:
            state: Row | None = self._connection.execute(STATE.sql).fetchone()
        except sqlite3.Error:
            return None
        return state
