"""Fills an empty SQLite file with the rows of a dump, in one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Final

from entrepot.metadata.dumps import DUMPED_TABLES, WORK_TABLES, DatabaseNotEmptyError
from entrepot.metadata.errors import MetadataError, MetadataUnavailableError
from entrepot.metadata.sql.audit_records import LOAD, record_values
from entrepot.metadata.sql.dump_statements import OUR_TABLES, require_columns
from entrepot.metadata.sql.schema import (
    CREATE_LEDGER,
    RECORD_MIGRATION,
    mark_entry,
    render_migration,
    split_script,
)
from entrepot.metadata.sql.sqlite_connection import connect_for_writing, create_private_file, translate_error
from entrepot.metadata.sql.sqlite_dump import describe_table
from entrepot.metadata.sql.sqlite_files import require_no_log_alone
from entrepot.metadata.sql.statements import render

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.dumps import DumpedValue, DumpTarget
    from entrepot.metadata.sql.schema import Migration
    from entrepot.metadata.sql.statements import Value

__all__ = ["loading_sqlite", "require_loadable_sqlite", "reserve_sqlite"]

_BUSY_SECONDS: Final = 30.0


class SqliteLoad:
    """Implements :class:`entrepot.metadata.dumps.DumpTarget`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[DumpedValue]]) -> None:
        """See the protocol."""
        await asyncio.to_thread(self._insert, table, columns, rows)

    async def keep_numbers_above(self, table: str, number: int) -> None:
        """See the protocol."""
        await asyncio.to_thread(self._keep_numbers_above, table, number)

    async def add_record(self, record: NewAuditRecord) -> None:
        """See the protocol."""
        await asyncio.to_thread(self._add_record, record)

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[DumpedValue]]) -> None:
        require_columns(describe_table(self._connection, table), columns)
        marks = ", ".join("?" for _ in columns)
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  # names checked above
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error

    def _keep_numbers_above(self, table: str, number: int) -> None:
        changed = self._connection.execute(
            "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (number, table)
        ).rowcount
        if not changed:
            self._connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number))

    def _add_record(self, record: NewAuditRecord) -> None:
        append = render(LOAD, "sqlite")
        try:
            self._connection.execute(append.sql, append.arguments(record_values(record)))
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error


async def require_loadable_sqlite(path: Path) -> bool:
    """Tell whether a file is marked as one that is being restored; there need be none.

    Raises:
        DatabaseNotEmptyError: it holds rows.
        MetadataUnavailableError: it can't be read, or only the log of one that was there is left.
    """
    return await asyncio.to_thread(_require_loadable, path)


async def reserve_sqlite(path: Path, snapshot: str) -> bool:
    """Mark an empty or new file as one that is being restored; tell whether it was marked already.

    Raises:
        DatabaseNotEmptyError: it holds rows; nothing was changed.
        MetadataUnavailableError: it can't be written, or only the log of one that was there is left.
    """
    return await asyncio.to_thread(_reserve, path, snapshot)


@asynccontextmanager
async def loading_sqlite(path: Path, migrations: Sequence[Migration]) -> AsyncGenerator[DumpTarget]:
    """Make the schema in a marked file and give out a target; commit when the block ends well.

    Raises:
        MetadataError: the file is not marked, or rows refer to rows that are missing.
    """
    connection = await asyncio.to_thread(_begin, path, migrations)
    try:
        yield SqliteLoad(connection, path)
        await asyncio.to_thread(_commit, connection, path)
    finally:
        # What was not committed is undone by closing.
        await asyncio.to_thread(connection.close)


def _require_loadable(path: Path) -> bool:
    require_no_log_alone(path)
    if not path.exists() or path.stat().st_size == 0:
        return False
    try:
        with closing(connect_for_writing(path, _BUSY_SECONDS)) as connection:
            tables = _tables(connection)
            if _is_marked(connection, tables):
                return True
            _require_empty(connection, tables)
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
    return False


def _reserve(path: Path, snapshot: str) -> bool:
    require_no_log_alone(path)
    create_private_file(path)
    try:
        with closing(connect_for_writing(path, _BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("BEGIN IMMEDIATE")
            tables = _tables(connection)
            if _is_marked(connection, tables):
                connection.execute("ROLLBACK")
                return True
            _require_empty(connection, tables)
            _drop_tables(connection, tables)
            connection.execute(render_migration(CREATE_LEDGER, "sqlite"))
            _record(connection, mark_entry(snapshot))
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
    return False


def _begin(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    connection = connect_for_writing(path, _BUSY_SECONDS)
    try:
        # Checked as a whole at the end, which costs less than looking up every row.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        _require_mark(connection, path)
        connection.execute("DELETE FROM schema_migrations")
        for migration in migrations:
            for statement in split_script(render_migration(migration.template, "sqlite")):
                connection.execute(statement)
            _record(connection, migration.ledger_entry())
        tables = _tables(connection)
        for table in DUMPED_TABLES:
            if table in tables:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  # a name of our own list
    except sqlite3.Error as error:
        connection.close()
        raise translate_error(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _commit(connection: sqlite3.Connection, path: Path) -> None:
    try:
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise MetadataError(
                f"{path}: rows of {broken[0][0]} refer to rows of {broken[0][2]} that are missing"
            )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        raise translate_error(error, path) from error


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _is_marked(connection: sqlite3.Connection, tables: set[str]) -> bool:
    if "schema_migrations" not in tables:
        return False
    return bool(connection.execute("SELECT 1 FROM schema_migrations WHERE version = 0").fetchall())


def _require_mark(connection: sqlite3.Connection, path: Path) -> None:
    if not _is_marked(connection, _tables(connection)):
        raise MetadataUnavailableError(f"{path}: it is not reserved for a restore")


def _require_empty(connection: sqlite3.Connection, tables: set[str]) -> None:
    for table in DUMPED_TABLES:
        if (
            table in tables
            and table not in WORK_TABLES
            and connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall()  # noqa: S608  # our own list
        ):
            raise DatabaseNotEmptyError(table)


def _drop_tables(connection: sqlite3.Connection, tables: set[str]) -> None:
    for table in reversed(OUR_TABLES):
        if table in tables:
            connection.execute(f"DROP TABLE {table}")


def _record(connection: sqlite3.Connection, entry: dict[str, Value]) -> None:
    record = render(RECORD_MIGRATION, "sqlite")
    connection.execute(record.sql, record.arguments(entry))
