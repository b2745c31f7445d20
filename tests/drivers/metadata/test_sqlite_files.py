"""A SQLite file or its log that is exchanged under the processes that have it open (F47, F1)."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.records import StoredManifest
from entrepot.metadata.sql import sqlite_files
from entrepot.metadata.sql.migrate import initialise_if_empty, schema_version
from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.database_files import backup, integrity, log_beside
from tests.drivers.metadata.material import REPOSITORY, TAG, finds_pushed_manifest, push_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


@pytest.fixture
def engine() -> str:
    """Return the only engine with a file."""
    return "sqlite"


async def test_f47_the_log_of_a_replaced_file_is_replayed_into_no_other(
    store: Metadata, database: RawDatabase
) -> None:
    """Whoever opens the new file, while the former one is open still or afterwards, finds it sound."""
    path = database.path
    copy = backup(path, "copy.db")
    with closing(sqlite3.connect(copy)) as connection:  # so that pages of the log mean something else in it
        connection.execute("DROP TABLE audit_records")
        connection.execute("VACUUM")
    await push_manifest(store)
    log, former = log_beside(path).stat().st_ino, path.stat()
    copy.replace(path)

    assert await store.lost_file() == str(path)
    assert not log_beside(path).exists()
    aside = log_beside(path).with_name(f"{log_beside(path).name}.of-{former.st_size}-{former.st_mtime_ns}")
    assert aside.stat().st_ino == log
    assert integrity(path) == "ok"
    await store.aclose()
    assert integrity(path) == "ok"


async def test_f47_the_log_comes_back_with_its_file(store: Metadata, database: RawDatabase) -> None:
    """Whoever put another one in its place by mistake puts it back, and nothing is lost."""
    path = database.path
    await push_manifest(store)
    log = log_beside(path).stat()
    former = path.rename(path.with_name("former"))
    shutil.copy(former, path)
    assert await store.lost_file() == str(path)
    former.replace(path)

    assert await store.lost_file() == ""
    assert log_beside(path).stat().st_ino == log.st_ino
    await store.aclose()
    assert await finds_pushed_manifest(database.url)


@pytest.mark.parametrize("put_back", [os.replace, shutil.copy2], ids=["mv", "cp -p"])
async def test_f47_the_log_comes_back_with_its_file_when_nobody_runs_any_more(
    store: Metadata, database: RawDatabase, put_back: Callable[[Path, Path], object]
) -> None:
    """The newest units, as the removal of an account, lie in it and nowhere else."""
    path = database.path
    await store.maintain()
    copy = backup(path, "copy.db")
    await push_manifest(store)
    former = path.rename(path.with_name("former"))
    copy.replace(path)
    assert await store.lost_file() == str(path)
    await store.aclose()
    assert integrity(path) == "ok"
    put_back(former, path)

    reopened = await open_metadata(database.url, 1, 5.0)
    assert isinstance(await reopened.manifests.find_by_tag(REPOSITORY, TAG), StoredManifest)
    assert [file.name for file in path.parent.glob("*.of-*")] == []
    await reopened.aclose()


@pytest.mark.parametrize("put_back", [os.replace, shutil.copy2], ids=["mv", "cp -p"])
async def test_f47_under_a_node_the_log_comes_back_with_its_file_and_with_no_copy_of_it(
    store: Metadata, database: RawDatabase, put_back: Callable[[Path, Path], object]
) -> None:
    """Log and index would be those of two files; who reads the former one found what was true before (I4, I5)."""
    path = database.path
    await store.maintain()
    copy = backup(path, "copy.db")
    await push_manifest(store)
    former = path.rename(path.with_name("former"))
    copy.replace(path)
    assert await store.lost_file() == str(path)
    put_back(former, path)

    if put_back is shutil.copy2:
        with pytest.raises(MetadataUnavailableError, match="is a copy of it: stop the registry"):
            await open_metadata(database.url, 1, 5.0)
    else:
        assert await finds_pushed_manifest(database.url)
    assert isinstance(await store.manifests.find_by_tag(REPOSITORY, TAG), StoredManifest)
    await store.aclose()
    assert await finds_pushed_manifest(database.url)


async def test_f47_of_two_logs_neither_is_chosen(store: Metadata, database: RawDatabase) -> None:
    """The other one is that of the file which was there meanwhile, and would be replayed into this one."""
    path = database.path
    await push_manifest(store)
    former = path.rename(path.with_name("former"))
    shutil.copy(former, path)
    assert await store.lost_file() == str(path)
    await store.aclose()
    former.replace(path)
    log_beside(path).write_bytes(b"another")

    with pytest.raises(MetadataUnavailableError, match="move the one away that is not this file's"):
        await open_metadata(database.url, 1, 5.0)
    log_beside(path).unlink()
    assert await finds_pushed_manifest(database.url)


@pytest.mark.parametrize("name", ["", "-wal", "-shm"])
async def test_f47_no_unit_is_committed_into_what_has_lost_its_name(
    store: Metadata, database: RawDatabase, name: str
) -> None:
    """From the first one on, however seldom anybody looks; a copy that takes the place gets none of it (F1)."""
    path = database.path.with_name(database.path.name + name)
    former = path.rename(path.with_name("former"))
    shutil.copy(former, path)

    with pytest.raises(MetadataUnavailableError, match="was replaced or removed under this process"):
        await push_manifest(store)
    former.replace(path)
    await push_manifest(store)


async def test_f47_a_log_is_renamed_by_nobody_who_looked_before_another_came(
    store: Metadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that sleeps between its look and its turn leaves the log of the new file alone."""
    path = database.path
    await push_manifest(store)
    path.rename(path.with_name("former"))
    shutil.copy(path.with_name("former"), path)
    turn = sqlite_files._turn

    @contextmanager
    def late_turn(directory: Path, patience_seconds: float) -> Iterator[bool]:
        log_beside(path).rename(path.with_name("put aside by another"))
        log_beside(path).write_bytes(b"of the new file")
        with turn(directory, patience_seconds) as is_let_in:
            yield is_let_in

    monkeypatch.setattr(sqlite_files, "_turn", late_turn)

    assert await store.lost_file() == str(path)
    assert log_beside(path).read_bytes() == b"of the new file"
    log_beside(path).unlink()


async def test_f47_while_another_process_renames_nobody_waits(store: Metadata, database: RawDatabase) -> None:
    """It may have been stopped; what is lost is known all the same, and the next look renames."""
    path = database.path
    await push_manifest(store)
    path.rename(path.with_name("former"))
    shutil.copy(path.with_name("former"), path)
    with sqlite_files._turn(path.parent, 30.0):
        assert await store.lost_file() == str(path)
        assert log_beside(path).exists()

    assert await store.lost_file() == str(path)
    assert not log_beside(path).exists()


async def test_f47_the_log_of_a_file_behind_a_link_lies_beside_the_file(
    database: RawDatabase, tmp_path: Path
) -> None:
    """The engine puts it there; a link that leads elsewhere by now leaves it where it is."""
    link, real = tmp_path / "link.db", database.path
    link.symlink_to(real)
    store = await open_metadata(f"sqlite://{link}", 1, 5.0)
    await push_manifest(store)
    assert (await store.lost_file(), (await store.write_ahead_log_bytes() or 0) > 0) == ("", True)

    copy = backup(real, "copy.db")
    link.unlink()
    link.symlink_to(copy)
    assert (await store.lost_file(), log_beside(real).exists()) == (str(link), True)
    link.unlink()
    link.symlink_to(real)
    assert await store.lost_file() == ""
    copy.replace(real)
    assert (await store.lost_file(), log_beside(real).exists()) == (str(link), False)
    await store.aclose()

    real.unlink()
    with pytest.raises(
        MetadataUnavailableError, match="is missing or empty, though its log"
    ):  # that was put aside
        await initialise_if_empty(f"sqlite://{link}", lambda _: None)
    for aside in real.parent.glob("*.of-*"):
        aside.unlink()
    log_beside(real).write_bytes(b"alone")
    with pytest.raises(MetadataUnavailableError, match="is missing or empty, though its log"):
        await initialise_if_empty(f"sqlite://{link}", lambda _: None)


async def test_f47_the_log_of_a_file_that_is_away_makes_room_for_another_and_comes_back_with_its_own(
    store: Metadata, database: RawDatabase
) -> None:
    """Who stops the node and then puts a copy there starts with that alone; who moves the file back loses nothing."""
    path = database.path
    copy = backup(path, "copy.db")
    await push_manifest(store)
    away = path.rename(path.with_name("away"))
    assert (await store.lost_file(), log_beside(path).exists()) == (str(path), False)
    away.rename(path)
    assert (await store.lost_file(), log_beside(path).exists()) == ("", True)

    path.rename(away)
    await store.aclose()
    with pytest.raises(MetadataUnavailableError, match="put the file back by mv or cp -p, or another copy"):
        await initialise_if_empty(database.url, lambda _: None)
    copy.rename(path)
    assert not await finds_pushed_manifest(database.url)
    assert integrity(path) == "ok"
    away.replace(path)
    assert await finds_pushed_manifest(database.url)


async def test_f47_a_log_that_is_removed_or_replaced_is_noticed(
    store: Metadata, database: RawDatabase
) -> None:
    """What is written goes into a file without a name: the next process would not find it."""
    await push_manifest(store)
    log = log_beside(database.path)
    away = log.rename(log.with_name("away"))
    assert await store.lost_file() == str(log)
    shutil.copy(away, log)
    assert await store.lost_file() == str(log)
    log.unlink()
    away.rename(log)

    assert await store.lost_file() == ""


async def test_f47_whoever_opens_a_file_before_its_removed_log_is_copied_back_is_told_of_no_failing_disk(
    store: Metadata, database: RawDatabase
) -> None:
    """The log's index is there, and names pages that an empty log does not have."""
    await push_manifest(store, '{"a":"' + "b" * 100_000 + '"}')  # the file grows, which its first page tells
    log_beside(database.path).unlink()

    with pytest.raises(MetadataUnavailableError, match="its log is shorter than the log's index says"):
        await schema_version(database.url)
    await store.aclose()
    assert await finds_pushed_manifest(database.url)


async def test_f47_a_file_that_is_away_is_not_written_to_once_it_is_back_before_its_log(
    store: Metadata, database: RawDatabase
) -> None:
    """Its log is aside, not removed: copied back, it would be named after what the file was before."""
    path = database.path
    await push_manifest(store)
    away = path.rename(path.with_name("away"))
    assert await store.lost_file() == str(path)
    former = away.stat().st_mtime_ns
    with sqlite_files._turn(path.parent, 30.0):
        away.rename(path)
        assert (await store.lost_file(), path.stat().st_mtime_ns) == (str(log_beside(path)), former)

    assert (await store.lost_file(), log_beside(path).exists()) == ("", True)


async def test_f47_other_processes_that_come_and_go_take_no_log_with_them(
    store: Metadata, database: RawDatabase
) -> None:
    """Nor does one that cuts it."""
    for _ in range(3):
        other = await open_metadata(database.url, 1, 5.0)
        await push_manifest(other)
        await other.maintain()
        await other.aclose()
        with closing(sqlite3.connect(database.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert await store.lost_file() == ""


async def test_f47_no_database_is_made_beside_the_log_of_one_that_is_missing(
    store: Metadata, database: RawDatabase
) -> None:
    """As by a process that starts while the file is away: it would begin with the other one's log."""
    await push_manifest(store)
    away = database.path.rename(database.path.with_name("away"))
    with pytest.raises(MetadataUnavailableError, match="is missing or empty, though its log"):
        await initialise_if_empty(database.url, lambda _: None)
    assert not database.path.exists()
    away.rename(database.path)

    assert not await initialise_if_empty(database.url, lambda _: None)
