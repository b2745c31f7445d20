"""F19: `entrepot migrate` is killed after every statement of every migration, loses nothing and goes on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.kernel.failpoints import Failpoint
from entrepot.metadata.sql.migrate import migrate, schema_version
from entrepot.metadata.sql.schema import load_migrations, render_migration, split_script
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.upgrade.old_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from entrepot.metadata.sql.schema import Migration
    from tests.upgrade.frozen_data import Thawed

_NEWEST: Final = load_migrations()[-1].version
_FIRST_FILLED: Final = 5
"""From this version on, a frozen directory has something in each table that came with it."""
Rows = dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]]
"""Columns and rows by table."""


@dataclass(frozen=True, slots=True)
class _Crasher:
    """The process that forks migrations."""

    process: subprocess.Popen[str]

    def kill_at(self, thawed: Thawed, failpoints: str) -> int:
        """Return the signal that ended the migration."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(thawed.url, thawed.data / "backups", failpoints, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def crasher() -> Iterator[_Crasher]:
    """One process for all kills of this module."""
    command = [sys.executable, "-m", "tests.upgrade.migration_crasher"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield _Crasher(process)
        assert process.stdin is not None
        process.stdin.close()


async def _rows(database: RawDatabase) -> Rows:
    """Return everything in the database but the ledger."""
    columns = await _columns(database)
    found = await _sorted_rows(database, columns)
    return {table: (names, found[table]) for table, names in columns.items()}


async def _columns(database: RawDatabase) -> dict[str, tuple[str, ...]]:
    if database.is_sqlite:
        query = (
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c"
            " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid"
        )
    else:
        query = (
            "SELECT table_name::text, column_name::text FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        )
    found: dict[str, tuple[str, ...]] = {}
    for table, column in await database.fetch(query):
        found[table] = (*found.get(table, ()), column)
    found.pop("schema_migrations", None)
    return found


async def _sorted_rows(
    database: RawDatabase, columns: dict[str, tuple[str, ...]]
) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of each table, looked at by one connection: there are many tables and many kills."""
    found = await database.fetch_each(
        [f"SELECT {', '.join(names)} FROM {table}" for table, names in columns.items()]
    )
    return {table: sorted(rows, key=repr) for table, rows in zip(columns, found, strict=True)}


def _tables_made_by(version: int) -> list[str]:
    """Return what the migration of a frozen version added, so that its directory has rows in all of it."""
    if version < _FIRST_FILLED:
        return []
    return re.findall(r"^CREATE TABLE (\w+)", load_migrations()[version - 1].template, re.MULTILINE)


async def _require_nothing_lost(database: RawDatabase, before: Rows) -> None:
    """Every old table has its rows, and every old column its values."""
    now = await _sorted_rows(database, {table: columns for table, (columns, _) in before.items()})
    for table, (_, rows) in before.items():
        assert now[table] == rows, table


def _kills_before_commit(migration: Migration, thawed: Thawed) -> list[str]:
    statements = split_script(
        render_migration(migration.template, "sqlite" if thawed.url.startswith("sqlite") else "postgresql")
    )
    kills = [f"{Failpoint.MIGRATION_STATEMENT_RUN}:{n + 1}" for n in range(len(statements))]
    copied = [str(Failpoint.MIGRATION_COPIED)] if thawed.url.startswith("sqlite") else []
    return [*copied, *kills, str(Failpoint.MIGRATION_RECORDED)]


async def test_f19_killed_after_every_statement_nothing_is_lost_and_it_goes_on(
    thawed: Thawed, crasher: _Crasher
) -> None:
    """A kill before the commit leaves the schema as it was; one after it leaves the next migration to do."""
    database = RawDatabase(thawed.url)
    before = await _rows(database)
    assert before["manifests"][1]
    assert [table for table in _tables_made_by(thawed.schema) if not before[table][1]] == []

    for migration in load_migrations()[thawed.schema :]:
        found = migration.version - 1
        for failpoint in _kills_before_commit(migration, thawed):
            assert crasher.kill_at(thawed, failpoint) == signal.SIGKILL, failpoint
            assert await schema_version(thawed.url) == (found, _NEWEST), failpoint
            await _require_nothing_lost(database, before)
        assert crasher.kill_at(thawed, Failpoint.MIGRATION_COMMITTED) == signal.SIGKILL
        assert await schema_version(thawed.url) == (migration.version, _NEWEST)
        await _require_nothing_lost(database, before)

    assert (await migrate(thawed.url, None, unheard)).applied == ()
    await _require_nothing_lost(database, before)


async def test_killed_anywhere_the_next_run_makes_the_schema_of_a_new_database(
    thawed: Thawed, crasher: _Crasher, engine: str, empty_url: str
) -> None:
    """Killed in its middle and run again, a migration leaves exactly the tables and indexes of an undisturbed one."""
    crasher.kill_at(thawed, f"{Failpoint.MIGRATION_STATEMENT_RUN}:2")
    await migrate(thawed.url, None, unheard)
    await migrate(empty_url, None, unheard)

    assert await _shape(RawDatabase(thawed.url)) == await _shape(RawDatabase(empty_url))


async def _shape(database: RawDatabase) -> list[tuple[Any, ...]]:
    if database.is_sqlite:
        return await database.fetch("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")
    indexes = await database.fetch(
        "SELECT tablename::text, indexname::text, indexdef FROM pg_indexes"
        " WHERE schemaname = 'public' ORDER BY indexname"
    )
    columns = await database.fetch(
        "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text, column_default::text"
        " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, column_name"
    )
    return [*indexes, *columns]


@pytest.fixture
def empty_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Return the address of a database that has no schema yet."""
    if engine == "sqlite":
        return f"sqlite://{tmp_path}/empty.db"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url
