"""Migrations of a SQLite file: one process at a time, each migration one transaction, a copy of the file before.

An empty file gets all of them in one transaction: a first start that is cut short leaves an empty file behind, which
the next start fills, and none that waits for an operator's `entrepot migrate`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.schema import (
    CREATE_LEDGER,
    RECORD_MIGRATION,
    render_migration,
    require_whole,
    split_script,
)
from entrepot.metadata.sql.sqlite_connection import connect_for_writing, create_private_file, translate_error
from entrepot.metadata.sql.sqlite_files import OpenFiles, require_no_log_alone, take_back_log
from entrepot.metadata.sql.sqlite_turnstile import Turnstile
from entrepot.metadata.sql.statements import render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from entrepot.metadata.sql.schema import Migration

__all__ = ["migrate_sqlite", "read_sqlite_version"]

_BUSY_TIMEOUT_SECONDS = 30.0
_OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables begin here."""


def read_sqlite_version(path: Path) -> int:
    """Return the version of the schema in `path`, 0 when there is no file or nothing in it. Blocks.

    Raises:
        MetadataUnavailableError: the file can't be read, or other processes have it open with a log that was removed.
    """
    _require_library()
    if not path.exists() or path.stat().st_size == 0:
        return 0
    take_back_log(path)
    try:
        with (
            closing(connect_for_writing(path, _BUSY_TIMEOUT_SECONDS)) as connection,
            closing(OpenFiles(path)) as files,
        ):
            files.take_log()
            return max(_applied(connection), default=0)
    except sqlite3.Error as error:
        raise translate_error(error, path) from error


def migrate_sqlite(
    path: Path,
    backup_directory: Path | None,
    choose: Callable[[Mapping[int, str]], tuple[Migration, ...]],
    report: Callable[[str], None],
) -> tuple[int, tuple[Migration, ...]]:
    """Apply the migrations that `choose` picks, given the checksums of those applied by version. Blocks.

    Returns:
        The version found and the migrations applied.

    Raises:
        MetadataUnavailableError: the file can't be read, written or copied, or other processes have it open with a log
            that was removed.
    """
    _require_library()
    require_no_log_alone(path)
    take_back_log(path)
    create_private_file(path)
    turnstile = Turnstile(path)
    try:
        with (
            turnstile.turn(),
            closing(connect_for_writing(path, _BUSY_TIMEOUT_SECONDS)) as connection,
            closing(OpenFiles(path)) as files,
        ):
            files.take_log()
            applied = _applied(connection)
            chosen = choose(applied)
            if applied and chosen:
                report(f"copied the database to {_copy(connection, path, backup_directory, max(applied))}")
                reach(Failpoint.MIGRATION_COPIED)
            for together in [(one,) for one in chosen] if applied else [chosen]:
                _apply(connection, together, report)
            return max(applied, default=0), chosen
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
    finally:
        turnstile.close()


def _require_library() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        needed = ".".join(map(str, _OLDEST_SQLITE))
        raise MetadataUnavailableError(
            f"Python's SQLite library is {sqlite3.sqlite_version}, {needed} is needed"
        )


def _applied(connection: sqlite3.Connection) -> dict[int, str]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").fetchall():
        return {}
    return require_whole(
        dict(connection.execute("SELECT version, checksum FROM schema_migrations").fetchall())
    )


def _apply(
    connection: sqlite3.Connection, together: tuple[Migration, ...], report: Callable[[str], None]
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in together:
            report(f"applying {migration.version:04d}_{migration.name}")
            connection.execute(render_migration(CREATE_LEDGER, "sqlite"))
            for statement in split_script(render_migration(migration.template, "sqlite")):
                connection.execute(statement)
                reach(Failpoint.MIGRATION_STATEMENT_RUN)
            record = render(RECORD_MIGRATION, "sqlite")
            connection.execute(record.sql, record.arguments(migration.ledger_entry()))
            reach(Failpoint.MIGRATION_RECORDED)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    reach(Failpoint.MIGRATION_COMMITTED)


def _copy(connection: sqlite3.Connection, path: Path, directory: Path | None, version: int) -> Path:
    """Copy the database beside itself, or into `directory`, and return where the copy lies."""
    target_directory = path.parent if directory is None else directory
    try:
        target_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MetadataUnavailableError(f"{target_directory}: {error.strerror}") from error
    moment = connection.execute("SELECT strftime('%Y%m%dT%H%M%fZ', 'now')").fetchone()[0].replace(".", "")
    target = target_directory / f"{path.stem}-schema-{version:04d}-{moment}{path.suffix}"
    create_private_file(target)
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        connection.backup(copy)
    return target
