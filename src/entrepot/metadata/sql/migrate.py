"""Bringing the schema of a database to the version of this program: by command, or at the first start."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.metadata.sql.addresses import PostgresAddress, parse_address, require_local_filesystem
from entrepot.metadata.sql.schema import load_migrations, pending_migrations
from entrepot.metadata.sql.sqlite_migration import migrate_sqlite, read_sqlite_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from entrepot.metadata.sql.schema import Migration

__all__ = ["MigrationReport", "apply_migrations", "initialise_if_empty", "migrate", "schema_version"]


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a migration did."""

    from_version: int
    to_version: int
    applied: tuple[str, ...]
    """Names of the migrations applied, oldest first."""


async def migrate(url: str, backup_directory: Path | None, report: Callable[[str], None]) -> MigrationReport:
    """Bring the database to the newest schema; nothing happens when it has it already.

    Safe to run at any time and from several nodes at once: one of them works, the others wait and find it done. Killed
    half-way it leaves whole migrations behind, and the next run goes on. A SQLite file that holds data is copied first,
    into `backup_directory` or else beside itself. `report` gets a line per step, possibly on another thread.

    Raises:
        MetadataUnavailableError: the database can't be reached.
        MigrationChangedError: an applied migration was edited afterwards.
        SchemaMismatchError: the database is newer than this program.
    """
    return await apply_migrations(url, load_migrations(), backup_directory, report)


async def initialise_if_empty(url: str, report: Callable[[str], None]) -> bool:
    """Make the schema in an empty database, and leave any other as it is; return whether it was empty.

    Several nodes may do so at the same moment.

    Raises:
        MetadataUnavailableError: the database can't be reached.
    """
    known = load_migrations()

    def choose(applied: Mapping[int, str]) -> tuple[Migration, ...]:
        return () if applied else known

    _, applied = await _run(url, None, choose, report)
    return bool(applied)


async def schema_version(url: str) -> tuple[int, int]:
    """Return the version of the database's schema, 0 when it is empty, and that of this program. Changes nothing.

    Raises:
        MetadataUnavailableError: the database can't be reached.
    """
    newest = load_migrations()[-1].version
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        from entrepot.metadata.sql.postgres_migration import read_postgres_version  # noqa: PLC0415  # decision 0016

        return await read_postgres_version(address.url), newest
    return await asyncio.to_thread(read_sqlite_version, address.path), newest


async def apply_migrations(
    url: str, known: Sequence[Migration], backup_directory: Path | None, report: Callable[[str], None]
) -> MigrationReport:
    """Do what :func:`migrate` does with another list of migrations, as tests of migrations to come need it."""

    def choose(applied: Mapping[int, str]) -> tuple[Migration, ...]:
        return pending_migrations(applied, known)

    found, applied = await _run(url, backup_directory, choose, report)
    names = tuple(f"{migration.version:04d}_{migration.name}" for migration in applied)
    return MigrationReport(found, max([found, *(migration.version for migration in applied)]), names)


async def _run(
    url: str,
    backup_directory: Path | None,
    choose: Callable[[Mapping[int, str]], tuple[Migration, ...]],
    report: Callable[[str], None],
) -> tuple[int, tuple[Migration, ...]]:
    address = parse_address(url)
    if isinstance(address, PostgresAddress):
        from entrepot.metadata.sql.postgres_migration import migrate_postgres  # noqa: PLC0415  # decision 0016

        return await migrate_postgres(address.url, choose, report)
    require_local_filesystem(address.path)
    return await asyncio.to_thread(migrate_sqlite, address.path, backup_directory, choose, report)
