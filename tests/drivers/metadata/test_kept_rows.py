"""Rows that a process keeps on SQLite are those that a statement would find, whoever changed them (I4, decision 60)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.metadata.errors import MetadataError
from entrepot.metadata.records import Missing, StoredBlob, StoredManifest
from entrepot.metadata.sql import sqlite_log_index, sqlite_row_memory
from entrepot.metadata.sql.catalogue import PULL_READS
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.statements import render_all
from tests.drivers.metadata.child import Child
from tests.drivers.metadata.counting import CountingObserver
from tests.drivers.metadata.material import (
    REPOSITORY,
    TAG,
    digest_of,
    push_blob,
    push_manifest,
    tag_manifest,
)
from tests.running.laid_schema import lay_schema

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

pytestmark = pytest.mark.usefixtures("calm_disk")

_BLOB = digest_of("blob")
_MANIFEST = digest_of("{}")
_OTHER_MANIFEST = digest_of('{"a":1}')
_MOVES = 300

_Answers = tuple[
    StoredManifest | Missing, StoredManifest | Missing, StoredManifest | Missing, StoredBlob | Missing
]

_CHANGES = {
    "a tag is moved": "UPDATE tags SET manifest_id = (SELECT id FROM manifests WHERE digest <> '{digest}')",
    "a tag is deleted": "DELETE FROM tags",
    "a tag is renamed": "UPDATE tags SET name = 'v2'",
    "a manifest dies": "UPDATE manifests SET state = 'condemned', condemned_at = 1 WHERE digest = '{digest}'",
    "a manifest has another type": "UPDATE manifests SET media_type = 'text/plain'",
    "a repository is deleted": "UPDATE repositories SET deleted_at = 1",
    "a repository is renamed": "UPDATE repositories SET name = 'team/other'",
    "a repository has another project": (
        "INSERT INTO projects (id, public_id, name, created_at, creator) VALUES (77, 'x', 'x', 1, '');"
        "UPDATE repositories SET project_id = 77"
    ),
    "a blob dies": "UPDATE blobs SET state = 'trash'",
    "a blob lies elsewhere": "UPDATE blobs SET storage_key = 'blobs/elsewhere'",
    "a blob has another size": "UPDATE blobs SET size_bytes = 5",
    "a link is removed": "DELETE FROM repository_blobs",
    "the schema is another one": "DROP TRIGGER tags_deleted; DELETE FROM tags",
}


@pytest.fixture
def engine() -> str:
    """Return the only engine whose processes keep rows."""
    return "sqlite"


@pytest.fixture
async def filled(metadata: Metadata) -> Metadata:
    """Return a store with two manifests, a tag and a blob that was asked for them so often that it keeps their rows."""
    await push_blob(metadata, "blob")
    await push_manifest(metadata, "{}")
    await push_manifest(metadata, '{"a":1}')
    await tag_manifest(metadata, TAG, _MANIFEST)
    for _ in range(2):
        await _ask(metadata)
        await asyncio.sleep(0)
    await _ask(metadata)
    return metadata


async def _ask(metadata: Metadata) -> _Answers:
    """Ask for each kind of row once, the body of the manifest excepted."""
    return (
        await metadata.manifests.find_by_tag(REPOSITORY, TAG, _MANIFEST),
        await metadata.manifests.describe_by_tag(REPOSITORY, TAG),
        await metadata.manifests.describe_by_digest(REPOSITORY, _MANIFEST),
        await metadata.blobs.find(REPOSITORY, _BLOB),
    )


async def _ask_anew(database: RawDatabase) -> _Answers:
    """Ask a store that keeps nothing yet."""
    other = await open_metadata(database.url, 1, 5.0)
    try:
        return await _ask(other)
    finally:
        await other.aclose()


def _change(database: RawDatabase, script: str) -> None:
    """Change rows as another program does, or a hand at a prompt."""
    with closing(sqlite3.connect(database.path)) as connection:
        connection.executescript(script)


async def test_what_was_asked_for_costs_no_statement_again(
    filled: Metadata, counts: CountingObserver
) -> None:
    counts.reset()

    again = await _ask(filled)

    assert not counts.statements
    assert not any(isinstance(one, Missing) for one in again)


@pytest.mark.parametrize("change", _CHANGES)
async def test_a_change_by_anybody_is_seen_by_the_next_look_i4(
    filled: Metadata, database: RawDatabase, change: str
) -> None:
    before = await _ask(filled)

    _change(database, _CHANGES[change].replace("{digest}", str(_MANIFEST)))
    first = await _ask(filled)
    await asyncio.sleep(0)
    second = await _ask(filled)

    assert first == second == await _ask_anew(database)
    assert first != before


async def test_what_was_not_there_is_seen_once_it_is(filled: Metadata, database: RawDatabase) -> None:
    """No row is kept as well as a row."""
    for _ in range(2):
        assert isinstance(await filled.manifests.describe_by_tag(REPOSITORY, "v2"), Missing)
        assert isinstance(await filled.blobs.find(REPOSITORY, digest_of("more")), Missing)
        await asyncio.sleep(0)

    _change(database, "UPDATE tags SET name = 'v2'")
    await push_blob(filled, "more")

    assert isinstance(await filled.manifests.describe_by_tag(REPOSITORY, "v2"), StoredManifest)
    assert isinstance(await filled.blobs.find(REPOSITORY, digest_of("more")), StoredBlob)


async def test_commits_that_change_other_rows_cost_one_question(
    filled: Metadata, database: RawDatabase, counts: CountingObserver
) -> None:
    """As those of audit records, ten a second under load: after it what is kept is good still."""
    _change(database, "UPDATE tags SET updated_by = 'bob'; UPDATE instance SET incarnation = incarnation")
    await filled.manifests.describe_by_tag(REPOSITORY, TAG)
    await asyncio.sleep(0)
    counts.reset()

    await _ask(filled)

    assert not counts.statements


async def test_no_commit_of_another_process_is_overlooked_i4(
    filled: Metadata, database: RawDatabase, counts: CountingObserver
) -> None:
    """It moves a tag and says so; each look finds it where it was said to be, and the last one costs nothing."""
    child = await Child.start("move", database.url, str(_OTHER_MANIFEST), str(_MANIFEST), str(_MOVES))
    child.go()
    kept = 0
    for _ in range(_MOVES):
        moved_to = await child.says()
        looks: list[StoredManifest | Missing] = []
        for _ in range(2):
            looks.append(await filled.manifests.describe_by_tag(REPOSITORY, TAG))
            await asyncio.sleep(0)
        counts.reset()
        looks.append(await filled.manifests.describe_by_tag(REPOSITORY, TAG))
        kept += not counts.statements
        assert {str(one.digest) for one in looks if isinstance(one, StoredManifest)} == {moved_to}
        child.go()

    assert await child.result() == _MOVES
    assert kept == _MOVES


def test_every_column_that_these_statements_read_is_watched(tmp_path: Path) -> None:
    """By SQLite's own word: what its authorizer is asked about, and what its triggers are for."""
    read: dict[str, set[str]] = {}

    def note(action: int, table: str | None, column: str | None, *_: Any) -> int:
        if action == sqlite3.SQLITE_READ and table and column:
            read.setdefault(table, set()).add(column)
        return sqlite3.SQLITE_OK

    path = tmp_path / "metadata.db"
    lay_schema(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.set_authorizer(note)
        for rendered in render_all(PULL_READS, "sqlite").values():
            connection.execute(rendered.sql, [""] * len(rendered.parameters))
        connection.set_authorizer(None)
        triggers = connection.execute(
            "SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall()

    assert set(read) == {table for table, _ in triggers}
    for table, columns in read.items():
        ours = [sql for name, sql in triggers if name == table]
        (updated,) = [sql for sql in ours if " UPDATE OF " in sql]
        watched = updated.partition(" UPDATE OF ")[2].partition(f" ON {table}")[0]
        assert columns <= set(watched.split(", ")), table
        assert (
            sum(f"AFTER INSERT ON {table}" in sql or f"AFTER DELETE ON {table}" in sql for sql in ours) == 2
        )


@pytest.mark.parametrize("missing", ["the list of mappings", "a format that is known"])
async def test_nothing_is_kept_where_nothing_proves_which_index_sqlite_uses(
    database: RawDatabase, missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if missing == "the list of mappings":
        (tmp_path / "maps").write_text("")
        monkeypatch.setattr(sqlite_log_index, "_MAPPINGS", tmp_path / "maps")
    else:
        monkeypatch.setattr(sqlite_log_index, "_FORMAT", 3_007_001)
    counts = CountingObserver()
    store = await open_metadata(database.url, 1, 5.0, counts)
    try:
        for _ in range(3):
            await store.manifests.describe_by_tag(REPOSITORY, TAG)
            await asyncio.sleep(0)
    finally:
        await store.aclose()

    assert counts.statements == {"manifests.describe_by_tag": 3}


async def test_the_oldest_rows_go_where_there_are_too_many(
    filled: Metadata, counts: CountingObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_row_memory, "_MOST_ROWS", 5)
    for name in "abcd":
        await filled.manifests.describe_by_tag(REPOSITORY, name)
    counts.reset()

    await filled.manifests.describe_by_tag(REPOSITORY, "d")
    assert not counts.statements
    await filled.manifests.find_by_tag(REPOSITORY, TAG, _MANIFEST)
    assert counts.statements == {"manifests.find_by_tag": 1}


async def test_bodies_are_not_kept(filled: Metadata, counts: CountingObserver) -> None:
    """They are large, and have a memory of their own."""
    counts.reset()
    for _ in range(2):
        found = await filled.manifests.find_by_tag(REPOSITORY, TAG)
        assert isinstance(found, StoredManifest)
        assert found.body == b"{}"

    assert counts.statements == {"manifests.find_by_tag": 2}


async def test_locks_of_another_store_outlive_one_that_is_closed(
    filled: Metadata, database: RawDatabase
) -> None:
    """The kernel ends all locks of a process on a file with the first descriptor of it that the process closes."""
    other = await open_metadata(database.url, 1, 5.0)
    await _ask(other)
    before = _locks(database)

    await other.aclose()

    assert before
    assert _locks(database) == before
    assert not isinstance((await _ask(filled))[0], Missing)


async def test_nothing_of_the_file_is_left_with_who_closed_its_store(database: RawDatabase) -> None:
    """While another process has it open, so that SQLite leaves it where it is: its volume could not be unmounted."""
    child = await Child.start("append", database.url, "0")
    store = await open_metadata(database.url, 1, 5.0)
    await push_manifest(store, "{}")
    for _ in range(3):
        await _ask(store)
        await asyncio.sleep(0)
    await store.aclose()

    assert _inode_of_index(database) > 0
    assert f"{database.path}-shm" not in _open_files() | _mapped_files()
    child.go()
    await child.result()


async def test_a_store_that_is_closed_looks_at_nothing_any_more(filled: Metadata) -> None:
    """What it looked at is no memory of the process any more."""
    await filled.aclose()

    with pytest.raises(MetadataError):
        await filled.manifests.describe_by_tag(REPOSITORY, TAG)


def _locks(database: RawDatabase) -> list[str]:
    """Return what /proc says of this process's locks on the index of the log, without their numbers."""
    inode = _inode_of_index(database)
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return sorted(
        line.split(":", 1)[1] for line in lines if f":{inode} " in line and f" {os.getpid()} " in line
    )


def _open_files() -> set[str]:
    """Return what this process has open, by path."""
    found: set[str] = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists them is gone by now
            found.add(str(link.readlink()))
    return found


def _mapped_files() -> set[str]:
    """Return what this process has in its memory, by path."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return {line.split(maxsplit=5)[-1] for line in lines}


def _inode_of_index(database: RawDatabase) -> int:
    return database.path.with_name(f"{database.path.name}-shm").stat().st_ino
