"""A consistent snapshot of a SQLite file: a copy by SQLite's backup API, which is read at leisure and then removed.

The copy is made in one step: writers go on meanwhile, since readers of a file in WAL mode hold up nobody; what they
commit is not in it. It lies beside the database with the same mode, and its name is always the same, so what a killed
backup left behind is replaced by the next.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Final

from entrepot.metadata.dumps import DumpedColumn, DumpFacts
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.dump_statements import FACTS, TableShape, batch_rows, kind_of, select_all
from entrepot.metadata.sql.sqlite_connection import connect_for_reading, create_private_file, translate_error
from entrepot.metadata.sql.statements import render

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from entrepot.metadata.dumps import DumpedValue, DumpSource

__all__ = ["describe_table", "dumping_sqlite"]

_SUFFIX: Final = ".backup-copy"
_BUSY_SECONDS: Final = 30.0


class SqliteDump:
    """Implements :class:`entrepot.metadata.dumps.DumpSource` on the copy."""

    def __init__(self, connection: sqlite3.Connection, path: Path, facts: DumpFacts) -> None:
        self._connection = connection
        self._path = path
        self.facts = facts

    async def columns(self, table: str) -> Sequence[DumpedColumn]:
        """See the protocol."""
        return (await asyncio.to_thread(describe_table, self._connection, table)).columns

    async def rows(self, table: str) -> AsyncGenerator[Sequence[Sequence[DumpedValue]]]:
        """See the protocol."""
        shape = await asyncio.to_thread(describe_table, self._connection, table)
        try:
            cursor = await asyncio.to_thread(self._connection.execute, select_all(shape))
            while batch := await asyncio.to_thread(cursor.fetchmany, batch_rows(shape)):
                yield batch
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error


def describe_table(connection: sqlite3.Connection, table: str) -> TableShape:
    """Return the columns of a table, none for one that is not there. Blocks."""
    found = connection.execute(
        "SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid", (table,)
    ).fetchall()
    columns = tuple(DumpedColumn(name, kind_of(declared)) for name, declared, _ in found)
    key = sorted((position, name) for name, _, position in found if position)
    return TableShape(table, columns, tuple(name for _, name in key))


@asynccontextmanager
async def dumping_sqlite(path: Path) -> AsyncGenerator[DumpSource]:
    """Take a snapshot of the database at `path` and remove it at the end.

    Raises:
        MetadataUnavailableError: the file can't be read, or there is no room for the copy.
    """
    copy = path.with_name(path.name + _SUFFIX)
    try:
        connection, facts = await asyncio.to_thread(_take, path, copy)
        try:
            yield SqliteDump(connection, copy, facts)
        finally:
            await asyncio.to_thread(connection.close)
    finally:
        await asyncio.to_thread(_remove, copy)


def _take(path: Path, copy: Path) -> tuple[sqlite3.Connection, DumpFacts]:
    _remove(copy)
    create_private_file(copy)
    try:
        with closing(connect_for_reading(path, _BUSY_SECONDS)) as source:
            connection = sqlite3.connect(copy, isolation_level=None, check_same_thread=False)
            try:
                # What a crash of the machine would make of the copy interests nobody.
                connection.execute("PRAGMA synchronous = OFF")
                source.backup(connection)
                connection.execute("PRAGMA journal_mode = DELETE").fetchall()
                rendered = render(FACTS, "sqlite")
                row = connection.execute(rendered.sql).fetchone()
            except BaseException:
                connection.close()
                raise
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
    if row is None:
        connection.close()
        raise MetadataUnavailableError(f"{path}: the row that identifies the database is gone")
    incarnation, version, last_fact, taken_at = row
    return connection, DumpFacts("sqlite", version, incarnation, taken_at, last_fact)


def _remove(copy: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
