"""The databases that the tests begin with are as the product makes them, and as empty."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import stat
from typing import TYPE_CHECKING

import asyncpg
import pytest

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.migrate import initialise_if_empty, schema_version
from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.material import fact
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.drivers.metadata.seeded_lists import seed_referrers, seed_repositories, seed_tags
from tests.running.laid_schema import lay_schema

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Transaction

_SCHEMA = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
_LEDGER = "SELECT version, name, checksum FROM schema_migrations ORDER BY version"


async def test_a_laid_file_is_what_a_first_start_makes(tmp_path: Path) -> None:
    made, laid = (RawDatabase(f"sqlite://{tmp_path}/{name}.db") for name in ("made", "laid"))
    await initialise_if_empty(made.url, unheard)
    lay_schema(laid.path)

    assert stat.S_IMODE(laid.path.stat().st_mode) == stat.S_IMODE(made.path.stat().st_mode) == 0o600
    for question in (
        _SCHEMA,
        _LEDGER,
        "PRAGMA journal_mode",
        "PRAGMA integrity_check",
        "PRAGMA user_version",
    ):
        assert await laid.fetch(question) == await made.fetch(question)
    assert await initialise_if_empty(laid.url, unheard) is False
    found, known = await schema_version(laid.url)
    assert found == known


async def test_laid_files_are_told_apart_and_never_laid_over_another(tmp_path: Path) -> None:
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    incarnations: set[str] = set()
    for path in paths:
        lay_schema(path)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            incarnations.update(row[0] for row in connection.execute("SELECT incarnation FROM instance"))

    assert len(incarnations) == 2
    with pytest.raises(FileExistsError):
        lay_schema(paths[0])


async def test_a_cleared_database_holds_nothing_of_the_test_before(shared_database_url: str) -> None:
    database = RawDatabase(shared_database_url)
    await database.clear()
    incarnation = await database.value("SELECT incarnation FROM instance")
    await seed_repositories(database, "left", 2)
    await seed_referrers(database, "left1", 4, 2)
    await seed_tags(database, "left1", 3)
    await database.clear()
    tables = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")

    left = {name for (name,) in tables if await database.count(name)}
    assert left == {"instance", "schema_migrations"}
    assert await database.value("SELECT incarnation FROM instance") == incarnation


async def test_clearing_waits_for_what_the_test_before_left_running(shared_database_url: str) -> None:
    """A transaction of a process that was killed may be committed after its end is known."""
    database = RawDatabase(shared_database_url)
    left = await asyncpg.connect(shared_database_url)
    transaction = left.transaction()
    await transaction.start()
    await left.execute(
        "INSERT INTO subjects (public_id, kind, name, created_at) VALUES ('x', 'user', 'x', 1)"
    )
    clearing = asyncio.create_task(database.clear())
    while not await database.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert not clearing.done()
    await transaction.commit()
    await left.close()
    await clearing

    assert await database.count("subjects") == 0


async def test_f47_a_table_that_is_missing_makes_the_database_unavailable(empty_url: str) -> None:
    """It was made anew under a process that has it open, and may be restored: clients shall come back."""
    await initialise_if_empty(empty_url, unheard)
    metadata = await open_metadata(empty_url, 2, 10.0)

    async def unit(tx: Transaction) -> int:
        return await tx.outbox.append(fact())

    try:
        for table in ("instance", "outbox"):
            await RawDatabase(empty_url).fetch(f"ALTER TABLE {table} RENAME TO gone_{table}")
        with pytest.raises(MetadataUnavailableError, match=r"instance"):
            await metadata.instance.ping()
        with pytest.raises(MetadataUnavailableError, match=r"instance"):
            await metadata.instance.incarnation()
        with pytest.raises(MetadataUnavailableError, match=r"outbox"):
            await metadata.write(unit)

        for table in ("instance", "outbox"):
            await RawDatabase(empty_url).fetch(f"ALTER TABLE gone_{table} RENAME TO {table}")
        await metadata.instance.ping()
        assert await metadata.write(unit) > 0
    finally:
        await metadata.aclose()
