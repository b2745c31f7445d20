"""A database is dumped whole and consistent, and loaded into either engine without losing anything."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.metadata.dumps import DUMPED_TABLES, LEFT_OUT_TABLES, DatabaseNotEmptyError
from entrepot.metadata.errors import MetadataError, RestoreUnfinishedError, SchemaMismatchError
from entrepot.metadata.sql.dump_statements import OUR_TABLES
from entrepot.metadata.sql.dumping import (
    is_reserved,
    open_dump,
    open_load,
    require_loadable,
    reserve_for_load,
)
from entrepot.metadata.sql.migrate import migrate, schema_version
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.schema import load_migrations
from tests.drivers.metadata.material import (
    fact,
    layer,
    new_session,
    push_blob,
    push_manifest,
)
from tests.drivers.metadata.raw_database import RawDatabase, unheard

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata, Transaction

_TABLES = {
    True: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    False: "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}
Dump = dict[str, tuple[list[str], list[tuple[Any, ...]]]]


@pytest.fixture(params=["to sqlite", "to postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> RawDatabase:
    """An empty database of either engine."""
    if request.param == "to sqlite":
        return RawDatabase(f"sqlite://{tmp_path}/other.db")
    return RawDatabase(request.getfixturevalue("empty_postgres_url"))


async def fill(metadata: Metadata) -> None:
    """Put something into most tables."""
    await push_blob(metadata, "a")
    await push_blob(metadata, "bb", "team/other")
    await push_manifest(metadata, '{"n":1}', (layer("a"),))
    await push_manifest(metadata, '{"n":2}', tag="über")

    async def unit(tx: Transaction) -> None:
        await tx.outbox.append(fact())
        await tx.outbox.append(fact("tag.deleted", journalled=False))
        row = await tx.repositories.ensure("team/app", "team", "alice")
        await tx.upload_sessions.create(new_session(row.id))
        await tx.orphans.remember({"blobs/lost": 3})

    await metadata.write(unit)


async def dumped(url: str) -> Dump:
    """Read everything of a fresh snapshot."""
    found: Dump = {}
    async with open_dump(url) as source:
        for table in DUMPED_TABLES:
            columns = [column.name for column in await source.columns(table)]
            rows = [tuple(row) async for batch in source.rows(table) for row in batch]
            found[table] = (columns, rows)
    return found


async def load(url: str, dump: Dump, version: int) -> None:
    """Load a dump into a marked database."""
    async with open_load(url, version) as target:
        for table, (columns, rows) in dump.items():
            await target.insert(table, columns, rows)


async def test_every_table_is_dumped_or_left_out_for_a_reason(database: RawDatabase) -> None:
    """A new table must be decided on: a backup without it would be noticed on the worst of days."""
    tables = {name for (name,) in await database.fetch(_TABLES[database.is_sqlite])}

    assert tables == {*DUMPED_TABLES, *LEFT_OUT_TABLES} == set(OUR_TABLES)


async def test_what_is_dumped_is_what_is_loaded(
    metadata: Metadata, database: RawDatabase, other: RawDatabase
) -> None:
    """From each engine into each, column by column; rows made afterwards get numbers of their own."""
    await fill(metadata)
    before = await dumped(database.url)
    _, version = await schema_version(database.url)

    assert not await reserve_for_load(other.url, "snapshot")
    await load(other.url, before, version)

    assert await dumped(other.url) == before
    assert len(before["manifests"][1]) == 2
    assert before["manifest_bodies"][1][0][2] in {b'{"n":1}', b'{"n":2}'}
    restored = await open_metadata(other.url, 2, 10.0)
    try:
        await push_manifest(restored, '{"n":3}', repository="team/new")
        assert await restored.write(lambda tx: tx.outbox.append(fact())) == before["outbox"][1][-1][0] + 1
    finally:
        await restored.aclose()
    assert await other.count("upload_sessions") == 0
    assert await other.count("orphans") == 0


async def test_a_dump_is_one_moment(metadata: Metadata, database: RawDatabase) -> None:
    """What is committed while it is read is not in it, and nobody waits for it."""
    await fill(metadata)
    last_fact = await metadata.orphans.last_fact()

    async with open_dump(database.url) as source:
        await push_blob(metadata, "later")
        await metadata.write(lambda tx: tx.outbox.append(fact()))
        blobs = [row async for batch in source.rows("blobs") for row in batch]
        facts = source.facts

    assert len(blobs) == 2
    assert facts.last_fact == last_fact
    assert facts.engine == ("sqlite" if database.is_sqlite else "postgresql")
    assert facts.incarnation == await database.value("SELECT incarnation FROM instance")
    assert abs(facts.taken_at - await metadata_time(database)) < 60_000
    if database.is_sqlite:
        assert [path.name for path in database.path.parent.glob("*backup-copy*")] == []


async def metadata_time(database: RawDatabase) -> int:
    """Return the database's time."""
    if database.is_sqlite:
        return int(await database.value("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)"))
    return int(await database.value("SELECT (extract(epoch FROM now()) * 1000)::bigint"))


async def test_a_marked_database_is_refused_by_everybody_else(other: RawDatabase) -> None:
    """Until all of the restore is there it is neither served nor migrated, and a second run finds the mark."""
    assert not await reserve_for_load(other.url, "the-snapshot")

    assert await is_reserved(other.url)
    with pytest.raises(RestoreUnfinishedError, match="the-snapshot"):
        await open_metadata(other.url, 1, 5.0)
    with pytest.raises(RestoreUnfinishedError):
        await migrate(other.url, None, unheard)
    assert await reserve_for_load(other.url, "another-one")


async def test_a_load_that_breaks_off_leaves_the_mark(other: RawDatabase) -> None:
    """Nothing of it is seen, and it can begin anew."""
    await reserve_for_load(other.url, "snapshot")
    version = load_migrations()[-1].version
    with contextlib.suppress(LookupError):
        async with open_load(other.url, version) as target:
            await target.insert(
                "projects", ["public_id", "name", "created_at", "creator"], [("p", "p", 1, "a")]
            )
            raise LookupError

    assert await is_reserved(other.url)
    await load(other.url, {}, version)
    assert not await is_reserved(other.url)
    assert await other.count("projects") == 0


async def test_a_database_with_rows_is_not_restored_into(metadata: Metadata, database: RawDatabase) -> None:
    """It is refused before anything is changed."""
    await fill(metadata)
    before = await dumped(database.url)

    for refusing in (require_loadable(database.url), reserve_for_load(database.url, "snapshot")):
        with pytest.raises(DatabaseNotEmptyError, match="not empty"):
            await refusing

    assert await dumped(database.url) == before


async def test_a_database_that_was_only_started_on_is_empty(empty_url: str) -> None:
    """Its schema is dropped: a registry that was started once, by habit, is no obstacle."""
    await migrate(empty_url, None, unheard)

    assert not await require_loadable(empty_url)
    assert not await is_reserved(empty_url)
    assert not await reserve_for_load(empty_url, "snapshot")
    assert await is_reserved(empty_url)
    assert await require_loadable(empty_url)


async def test_rows_that_refer_to_nothing_are_not_loaded(other: RawDatabase) -> None:
    """Rows without those they refer to would break every later reader."""
    await reserve_for_load(other.url, "snapshot")
    columns = ["repository_id", "digest", "day", "count"]

    with pytest.raises(MetadataError):
        await load(other.url, {"pull_days": (columns, [(7, "sha256:a", 1, 1)])}, 3)

    assert await is_reserved(other.url)


async def test_columns_that_are_not_there_are_refused(other: RawDatabase) -> None:
    """A dump can't smuggle anything into a statement: its names are looked up first."""
    await reserve_for_load(other.url, "snapshot")

    with pytest.raises(MetadataError, match="has no column"):
        await load(other.url, {"projects": (["name) VALUES (1); --"], [("x",)])}, 3)


async def test_an_older_schema_is_made_and_then_migrated(other: RawDatabase) -> None:
    """A snapshot of an older program is loaded into its own schema; a newer one's is refused."""
    await reserve_for_load(other.url, "snapshot")
    columns = ["id", "public_id", "name", "created_at", "creator"]
    await load(other.url, {"projects": (columns, [(1, "p", "team", 1, "a")])}, 1)

    assert (await schema_version(other.url))[0] == 1
    report = await migrate(other.url, None, unheard)
    assert report.from_version == 1
    assert await other.count("projects") == 1
    with pytest.raises(SchemaMismatchError, match="newer"):
        await load(other.url, {}, 9999)


async def test_the_last_backup_is_remembered(metadata: Metadata, database: RawDatabase) -> None:
    """Its time is there for the metric, and no sweep minds the row."""
    assert await metadata.backups.last_completed() is None
    await metadata.write(lambda tx: tx.backups.record_completed("one"))
    first = await metadata.backups.last_completed()
    await metadata.write(lambda tx: tx.backups.record_completed("two"))
    second = await metadata.backups.last_completed()

    assert first is not None
    assert second is not None
    assert 0 <= second.at_milliseconds - first.at_milliseconds < 60_000
    assert second.now_milliseconds >= second.at_milliseconds
    assert await database.value("SELECT progress FROM sweeps WHERE name = 'backup'") == "two"


async def test_a_blob_is_pointed_at_other_bytes_once(metadata: Metadata, database: RawDatabase) -> None:
    """Only while its row names the bytes that were found missing."""
    key = await push_blob(metadata, "a")
    digest = (await metadata.inventory.blobs(0, 1))[0].digest

    assert await metadata.write(lambda tx: tx.backups.repoint(digest, key, "blobs/new"))
    assert not await metadata.write(lambda tx: tx.backups.repoint(digest, key, "blobs/newer"))
    assert await database.value("SELECT storage_key FROM blobs") == "blobs/new"
