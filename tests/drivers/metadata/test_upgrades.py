"""A database of an older program, with data in it, is brought to the newest schema and nothing of it is lost."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from entrepot.metadata.errors import MetadataUnavailableError, SchemaMismatchError
from entrepot.metadata.records import ReferrerQuery
from entrepot.metadata.sql.migrate import apply_migrations, migrate, schema_version
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.schema import Migration, load_migrations
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.drivers.metadata.seeded_lists import (
    SUBJECT,
    seed_referrers,
    seed_repositories,
    seed_tags,
    seeded_digest,
)

_FIRST: Final = load_migrations()[:1]
_LATER: Final = tuple(f"{one.version:04d}_{one.name}" for one in load_migrations()[1:])
_REPOSITORY: Final = "old1"
_REFERRERS: Final = 60
_TABLES: Final = (
    "instance", "projects", "repositories", "manifest_bodies", "manifests", "manifest_references", "tags",
)  # fmt: skip


@pytest.fixture
async def old(empty_url: str) -> RawDatabase:
    """Return a database as the first program left it: tags, referrers, and a list of referrers under a tag."""
    database = RawDatabase(empty_url)
    await apply_migrations(empty_url, _FIRST, None, unheard)
    await seed_repositories(database, "old", 3)
    await seed_referrers(database, _REPOSITORY, _REFERRERS, _REFERRERS // 2)
    await seed_tags(database, _REPOSITORY, 100)
    return database


async def _content(database: RawDatabase) -> dict[str, list[tuple[Any, ...]]]:
    """Return the old columns of every table that has rows; a migration may have added others."""
    return {table: sorted(await database.fetch(f"SELECT * FROM {table}"), key=repr) for table in _TABLES}


async def _require_whole(database: RawDatabase) -> None:
    """Read the lists through a store on the migrated database."""
    metadata = await open_metadata(database.url, 2, 10.0)
    query = ReferrerQuery(_REPOSITORY, SUBJECT, f"sha256-{SUBJECT.hex}", None, "", 1000, 4 * 1024 * 1024)
    page = await metadata.referrers.list_page(query)
    names = await metadata.catalog.list_names("", 10)
    tags = await metadata.tags.list_names(_REPOSITORY, "", 1000)
    await metadata.aclose()
    total = _REFERRERS + _REFERRERS // 2 + 1
    assert [str(one.digest) for one in page.referrers] == [seeded_digest(i + 1) for i in range(total)]
    assert names.names == ("old1", "old2", "old3")
    assert not isinstance(tags, str)
    assert len(tags.names) == 101


async def test_an_older_database_is_refused_until_it_is_migrated(old: RawDatabase) -> None:
    with pytest.raises(SchemaMismatchError, match="run `entrepot migrate`"):
        await open_metadata(old.url, 1, 5.0)


async def test_every_row_survives_and_the_lists_find_them(old: RawDatabase) -> None:
    before = await _content(old)

    report = await migrate(old.url, None, unheard)

    assert (report.from_version, report.applied) == (1, _LATER)
    after = await _content(old)
    assert {table: len(rows) for table, rows in after.items()} == {
        table: len(rows) for table, rows in before.items()
    }
    for table, rows in before.items():
        width = len(rows[0])
        assert [row[:width] for row in after[table]] == rows
    await _require_whole(old)


async def test_a_file_is_copied_as_it_was_before(tmp_path: Path) -> None:
    """The copy opens with the older schema and has every row."""
    database = RawDatabase(f"sqlite://{tmp_path}/metadata.db")
    await apply_migrations(database.url, _FIRST, None, unheard)
    await seed_repositories(database, "old", 3)
    await seed_referrers(database, _REPOSITORY, _REFERRERS, _REFERRERS // 2)
    before = await _content(database)

    await migrate(database.url, tmp_path / "copies", unheard)

    (copy,) = (tmp_path / "copies").iterdir()
    assert (await schema_version(f"sqlite://{copy}"))[0] == 1
    assert await _content(RawDatabase(f"sqlite://{copy}")) == before
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_f19_killed_in_the_middle_of_the_second_migration_it_resumes(old: RawDatabase) -> None:
    """Half of the indexes were made: none of them is there afterwards, the rows are, and the next run makes all."""
    before = await _content(old)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _KILLED_HALF_WAY,
        old.url,
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async for line in process.stdout:
        if b"applying 0002" in line:
            break
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    await process.wait()

    assert (await schema_version(old.url))[0] == 1
    assert await _index_count(old) == 0
    assert await _content(old) == before

    report = await migrate(old.url, None, unheard)
    assert report.applied == _LATER
    assert await _index_count(old) == 3
    await _require_whole(old)


async def test_a_migration_never_holds_up_readers_behind_a_dump(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pg_dump` holds every table for as long as it takes; a migration that waits for one must not block pulls."""
    await migrate(empty_postgres_url, None, unheard)
    monkeypatch.setattr(
        "entrepot.metadata.sql.postgres_migration._LOCK_WAIT", "SET LOCAL lock_timeout = '300ms'"
    )
    monkeypatch.setattr("entrepot.metadata.sql.postgres_migration._PAUSE_SECONDS", 0.1)
    newest = load_migrations()[-1].version
    next_one = Migration(newest + 1, "next", "ALTER TABLE blobs ADD COLUMN extra {text};")
    lines: list[str] = []
    dump, reader = await asyncpg.connect(empty_postgres_url), await asyncpg.connect(empty_postgres_url)
    await dump.execute("BEGIN; LOCK TABLE blobs IN ACCESS SHARE MODE")

    migrating = asyncio.create_task(
        apply_migrations(empty_postgres_url, (*load_migrations(), next_one), None, lines.append)
    )
    looks = 0
    while looks < 20 or not any(line.startswith("a table is in use") for line in lines):
        await reader.fetch("SELECT digest FROM blobs", timeout=30)
        await asyncio.sleep(0.05)
        looks += 1
        assert not migrating.done()
    await dump.execute("ROLLBACK")

    assert (await migrating).applied == (f"{newest + 1:04d}_next",)
    await reader.close()
    await dump.close()


async def test_a_table_that_stays_in_use_ends_the_migration_without_a_trace(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its attempts it gives up with the reason; nothing was applied, and it can be run again."""
    await migrate(empty_postgres_url, None, unheard)
    monkeypatch.setattr(
        "entrepot.metadata.sql.postgres_migration._LOCK_WAIT", "SET LOCAL lock_timeout = '100ms'"
    )
    monkeypatch.setattr("entrepot.metadata.sql.postgres_migration._PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("entrepot.metadata.sql.postgres_migration._ATTEMPTS", 3)
    newest = load_migrations()[-1].version
    next_one = Migration(newest + 1, "next", "ALTER TABLE blobs ADD COLUMN extra {text};")
    dump = await asyncpg.connect(empty_postgres_url)
    await dump.execute("BEGIN; LOCK TABLE blobs IN ACCESS SHARE MODE")

    with pytest.raises(MetadataUnavailableError, match="lock timeout"):
        await apply_migrations(empty_postgres_url, (*load_migrations(), next_one), None, unheard)
    await dump.close()

    assert await schema_version(empty_postgres_url) == (newest, newest)


async def _index_count(database: RawDatabase) -> int:
    table, column = ("sqlite_master", "name") if database.is_sqlite else ("pg_indexes", "indexname")
    made = "'manifests_referrers', 'manifests_referrers_by_type', 'manifest_references_listed'"
    return int(await database.value(f"SELECT count(*) FROM {table} WHERE {column} IN ({made})"))


_KILLED_HALF_WAY: Final = """
import asyncio, sys
from dataclasses import replace
from entrepot.metadata.sql.migrate import apply_migrations
from entrepot.metadata.sql.schema import load_migrations

endless = "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n) x"
wait = endless if sys.argv[1].startswith("sqlite") else "SELECT pg_sleep(2)"
first, second, *_ = load_migrations()
one, marker, rest = second.template.partition("CREATE INDEX manifests_referrers_by_type")
assert marker
slow = replace(second, template=f"{one}{wait};\\n{marker}{rest}")
asyncio.run(apply_migrations(sys.argv[1], (first, slow), None, lambda line: print(line, flush=True)))
"""
