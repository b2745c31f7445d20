"""A SQLite file or its log that is exchanged while somebody opens, copies back or closes it (F47)."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.records import StoredManifest
from entrepot.metadata.sql import sqlite, sqlite_connection, sqlite_copying, sqlite_files, sqlite_writer
from entrepot.metadata.sql.migrate import initialise_if_empty, migrate, schema_version
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.sqlite import SqliteMetadata
from entrepot.metadata.sql.sqlite_connection import connect_for_reading, create_private_file
from entrepot.metadata.sql.sqlite_copying import LogCopier
from entrepot.metadata.sql.sqlite_load import require_loadable_sqlite, reserve_sqlite
from entrepot.metadata.sql.sqlite_log_marks import LogMark
from entrepot.metadata.sql.sqlite_reader import SqliteReader
from entrepot.metadata.sql.sqlite_turnstile import Turnstile
from tests.drivers.metadata.child import Child
from tests.drivers.metadata.database_files import backup, integrity, log_beside
from tests.drivers.metadata.material import REPOSITORY, TAG, finds_pushed_manifest, push_manifest
from tests.faults.machine.volumes import MIB, ext4_volume, snapshot_over

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_PROC_LOCKS: Final = Path("/proc/locks")
_OPEN: Final = (
    "import sqlite3; sqlite3.connect({path!r}).execute('SELECT count(*) FROM sqlite_master').fetchall()"
)


@pytest.fixture
def engine() -> str:
    """Return the only engine with a file."""
    return "sqlite"


async def test_f47_whoever_ends_leaves_the_log_of_a_snapshot_that_was_mounted_over_its_own(
    tmp_path: Path,
) -> None:
    """SQLite takes it for its own, as the file beside it has the same inode, and removes what it did not write."""
    with ext4_volume(tmp_path / "volume", 16 * MIB) as volume:
        path, url = volume / "entrepot.db", f"sqlite://{volume}/entrepot.db"
        await initialise_if_empty(url, lambda _: None)
        child = await Child.start("append", url, "0")
        other = await Child.start("push", url, "")  # its units are in the log alone, also once it has ended
        other.go()
        await other.result()
        log = log_beside(path).stat()
        with snapshot_over(volume):
            assert (log_beside(path).stat().st_ino, log.st_size > 0) == (log.st_ino, True)
            child.go()
            await child.result()

            assert log_beside(path).stat().st_size == log.st_size
            assert await finds_pushed_manifest(url)


async def test_f47_whoever_ends_leaves_a_log_alone_that_was_put_in_the_place_of_its_own(
    database: RawDatabase,
) -> None:
    """It is another file's, or holds what this process has not seen."""
    child = await Child.start("append", database.url, "0")
    log, former = log_beside(database.path), database.path.read_bytes()
    log.with_name("another").write_bytes(b"of another file")
    log.with_name("another").replace(log)

    child.go()
    await child.result()

    assert (log.read_bytes(), database.path.read_bytes()) == (b"of another file", former)


async def test_f47_a_log_that_is_only_gone_is_copied_back_by_whoever_ends_last(
    store: Metadata, database: RawDatabase
) -> None:
    """Its units were acknowledged; nobody has put another one in its place."""
    await push_manifest(store)
    log_beside(database.path).unlink()
    await store.aclose()

    assert await finds_pushed_manifest(database.url)


@pytest.mark.parametrize("removed", ["-wal", "-wal -shm"])
async def test_f47_whoever_opens_a_file_whose_log_was_removed_takes_no_unit_with_it(
    store: Metadata, database: RawDatabase, removed: str
) -> None:
    """It makes an empty log, which is nobody's; the units are in the file by then, also if all are killed."""
    path = database.path
    await push_manifest(store)
    for suffix in removed.split():
        path.with_name(f"{path.name}{suffix}").unlink()
    with pytest.raises(MetadataUnavailableError, match="was replaced or removed under this process"):
        await push_manifest(store, "another")

    assert await _has_it_without_log(path)
    await _elsewhere(_OPEN.format(path=str(path)))
    assert log_beside(path).stat().st_size == 0
    await store.aclose()
    assert not log_beside(path).exists()
    assert await finds_pushed_manifest(database.url)
    assert integrity(path) == "ok"


async def test_f47_a_removed_log_is_copied_back_also_once_somebody_has_made_another(
    store: Metadata, database: RawDatabase
) -> None:
    """At the first look, though nobody writes; one that somebody has written to is left alone."""
    path = database.path
    await store.maintain()
    await push_manifest(store)
    log_beside(path).unlink()
    for other in (b"of another", b""):
        log_beside(path).write_bytes(other)
        assert await store.lost_file() == str(log_beside(path))
        assert await _has_it_without_log(path) == (other == b"")


async def test_f47_beside_processes_whose_log_was_removed_no_other_opens_the_file(
    store: Metadata, database: RawDatabase
) -> None:
    """It would have another log than they, and what both write or copy back would damage the file."""
    await push_manifest(store)
    log_beside(database.path).unlink()

    refused = pytest.raises(
        MetadataUnavailableError, match=r"other processes have .* open with a log that is not"
    )
    await store.lost_file()
    with refused:
        await schema_version(database.url)
    with refused:
        await migrate(database.url, None, lambda _: None)
    with refused:
        await asyncio.to_thread(SqliteMetadata, database.path, 5.0, None)
    await store.aclose()
    assert await finds_pushed_manifest(database.url)


@pytest.mark.parametrize("is_other_there", [False, True], ids=["removed", "another one there"])
async def test_f47_beside_processes_whose_index_was_removed_no_other_opens_the_file(
    store: Metadata, database: RawDatabase, is_other_there: bool
) -> None:
    """It would make another index of the same log, and both would write over what the other has written."""
    path = database.path
    await store.maintain()
    await push_manifest(store)
    index = path.with_name(f"{path.name}-shm")
    index.unlink()

    if is_other_there:
        await _elsewhere(_OPEN.format(path=str(path)))
        assert index.exists()
    assert await store.lost_file() == str(index)
    with pytest.raises(MetadataUnavailableError, match="was replaced or removed under this process"):
        await push_manifest(store, "another")
    with pytest.raises(MetadataUnavailableError, match=r"other processes have .* open with .* another index"):
        await schema_version(database.url)
    await store.aclose()
    assert await finds_pushed_manifest(database.url)
    assert integrity(path) == "ok"


async def test_f47_a_log_to_which_another_program_wrote_by_another_index_is_left_to_the_next_start(
    store: Metadata, database: RawDatabase
) -> None:
    """Whoever copied it back and removed it would take units with it that the former index does not name."""
    path = database.path
    await push_manifest(store)
    path.with_name(f"{path.name}-shm").unlink()
    open_it = f"import sqlite3; database = sqlite3.connect({str(path)!r}, isolation_level=None)"
    await _elsewhere(f"{open_it}; database.execute('UPDATE tags SET updated_by = 1234')")
    await store.maintain()

    await store.aclose()

    look = "database.execute('SELECT updated_by FROM tags').fetchall() == [('1234',)]"
    await _elsewhere(f"{open_it}; import sys; sys.exit(not {look})")


def test_f47_the_log_of_one_file_says_nothing_of_another(tmp_path: Path) -> None:
    """As long as processes have a former file open, those that open the new one have its log."""
    marks = [LogMark(tmp_path / "entrepot.db") for _ in range(5)]

    assert [
        mark.set_alone(*inodes, 0.0)
        for mark, inodes in zip(marks, [(7, 1, 1), (7, 1, 1), (8, 2, 2), (7, 2, 1), (7, 1, 2)], strict=True)
    ] == [True, True, True, False, False]
    for mark in marks:
        mark.close()


@pytest.mark.parametrize("taken", ["log", "log, for good"])
async def test_f47_a_store_whose_log_is_exchanged_while_it_is_opened_is_opened_anew(
    database: RawDatabase, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    """Its connections may lead to the one and to the other, and what is known is only what has the name in the end."""
    path, begun = database.path, list[str]()

    def late_reader(*arguments: Any) -> SqliteReader:
        begun.append(taken)
        if len(begun) == 1 or taken == "log, for good":
            log_beside(path).unlink()
        return SqliteReader(*arguments)

    monkeypatch.setattr(sqlite, "SqliteReader", late_reader)
    if taken == "log, for good":
        with pytest.raises(MetadataUnavailableError, match="while it was being opened"):
            await open_metadata(database.url, 1, 5.0)
        return
    store = await open_metadata(database.url, 1, 5.0)

    assert (len(begun), await store.lost_file()) == (2, "")
    await push_manifest(store)
    await store.aclose()
    monkeypatch.undo()
    assert await finds_pushed_manifest(database.url)
    assert integrity(path) == "ok"


async def test_f47_a_file_that_is_exchanged_while_it_is_opened_is_left_to_the_next_process(
    store: Metadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some connections of this one lead to the new file and to the former one's log, which is put out of its way."""
    path = database.path
    copy = backup(path, "copy.db")
    await push_manifest(store)

    def late_reader(*arguments: Any) -> SqliteReader:
        path.rename(path.with_name("former"))
        copy.replace(path)
        return SqliteReader(*arguments)

    monkeypatch.setattr(sqlite, "SqliteReader", late_reader)
    exchanged = pytest.raises(
        MetadataUnavailableError, match="while it was being opened: start this process again"
    )
    with exchanged:
        await open_metadata(database.url, 1, 5.0)
    assert not log_beside(path).exists()
    monkeypatch.undo()
    with exchanged:
        await open_metadata(database.url, 1, 5.0)
    other = await Child.start("append", database.url, "1")
    other.go()
    await other.result()
    await store.aclose()
    await _elsewhere(
        f"import sys; from {integrity.__module__} import integrity as look; "
        f"from pathlib import Path; sys.exit(look(Path({str(path)!r})) != 'ok')"
    )


async def test_f47_an_overlays_file_which_opening_makes_another_one_is_opened(
    database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an image has it, the first that opens it for writing gets a copy."""
    path, copiers = database.path, list[LogCopier]()
    copy = backup(path, "copy.db")

    def copied_up(*arguments: Any) -> LogCopier:
        if not copiers:
            copy.replace(path)
        copiers.append(LogCopier(*arguments))
        return copiers[-1]

    monkeypatch.setattr(sqlite, "LogCopier", copied_up)
    store = await open_metadata(database.url, 1, 5.0)

    assert (len(copiers), await store.lost_file()) == (2, "")
    await store.aclose()


async def test_f47_an_opening_that_fails_leaves_no_descriptor_open(
    database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tries again and again would run out of them."""

    def refuse(*_: Any) -> sqlite3.Connection:
        raise MetadataUnavailableError("refused")

    path = database.path
    for module in (sqlite_copying, sqlite_writer):
        monkeypatch.setattr(module, "connect_for_writing", refuse)
        before = _descriptors()
        with pytest.raises(MetadataUnavailableError, match="refused"):
            await asyncio.to_thread(SqliteMetadata, path, 5.0, None)
        assert _descriptors() == before
        monkeypatch.undo()
    path.with_name(f"{path.name}.writer").unlink(missing_ok=True)
    path.with_name(f"{path.name}.writer").mkdir()
    before = _descriptors()
    with pytest.raises(MetadataUnavailableError, match="writer"):
        Turnstile(path)
    assert _descriptors() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_f47_what_root_makes_beside_a_database_its_owner_can_open(tmp_path: Path) -> None:
    """A look by root comes before the registry's own start where somebody has put a copy there."""
    path = tmp_path / "entrepot.db"
    create_private_file(path)
    os.chown(path, 4711, 4712)
    (tmp_path / "entrepot.db.writer").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").touch()

    Turnstile(path).close()

    made = (tmp_path / "entrepot.db.turnstile").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (4711, 4712, 0o600)
    assert (tmp_path / "elsewhere").stat().st_uid == 0


async def test_f47_a_log_that_goes_before_the_first_look_is_lost(database: RawDatabase) -> None:
    """It is known since the store was opened, not since somebody asked for it."""
    store = await open_metadata(database.url, 1, 5.0)
    log_beside(database.path).unlink()

    with pytest.raises(MetadataUnavailableError, match="was replaced or removed under this process"):
        await push_manifest(store)
    assert await store.lost_file() == str(log_beside(database.path))
    await store.aclose()


@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "empty"])
async def test_f47_nothing_is_loaded_into_a_new_file_beside_the_log_of_another(
    database: RawDatabase, is_there: bool
) -> None:
    """SQLite removes what lies beside an empty file: the newest units of the one that is away."""
    path = database.path
    log = log_beside(path)
    away = path.rename(path.with_name("away"))
    log.write_bytes(b"the newest units")
    if is_there:
        path.touch()

    refused = pytest.raises(MetadataUnavailableError, match="is missing or empty, though its log")
    with refused:
        await require_loadable_sqlite(path)
    with refused:
        await reserve_sqlite(path, "a snapshot")
    with refused:
        await initialise_if_empty(database.url, lambda _: None)
    with refused:
        connect_for_reading(path, 1.0)
    assert (path.exists(), log.read_bytes()) == (is_there, b"the newest units")
    log.unlink()
    away.replace(path)


async def test_f47_a_file_that_another_process_is_making_meanwhile_is_no_file_that_is_missing(
    database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log comes after its first page, and is found by who looked for the file before."""
    path, look = database.path, sqlite_files.log_of
    away = path.rename(path.with_name("away"))

    def late_look(of: Path) -> Path:
        away.replace(path)
        look(of).write_bytes(b"")
        return look(of)

    monkeypatch.setattr(sqlite_files, "log_of", late_look)

    sqlite_files.require_no_log_alone(path)


async def test_f47_who_makes_a_file_that_exists_keeps_the_locks_of_connections_on_it(
    store: Metadata, database: RawDatabase
) -> None:
    """They are the process's, and end when it closes any descriptor of the file; the log would go with the next one."""
    create_private_file(database.path)

    assert _locks_on(database.path) > 0
    other = await Child.start("append", database.url, "1")  # was it alone, it would remove the log
    other.go()
    await other.result()
    assert await store.lost_file() == ""


async def _has_it_without_log(path: Path) -> bool:
    """Whether the file alone has what was pushed, as it is left where everybody is killed."""
    alone = path.with_name("alone.db")
    await _elsewhere(f"import shutil; shutil.copy({str(path)!r}, {str(alone)!r})")
    return await finds_pushed_manifest(f"sqlite://{alone}")


async def _elsewhere(program: str) -> None:
    """Run it in another process: to open the file here ends the locks on it."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _locks_on(path: Path) -> int:
    """How many locks this process has on a file, by the kernel's list."""
    mine = [line.split() for line in _PROC_LOCKS.read_text().splitlines()]
    return sum(
        line[1] == "POSIX" and line[4] == str(os.getpid()) and line[5].endswith(f":{path.stat().st_ino}")
        for line in mine
    )


async def test_f47_a_log_that_is_put_aside_during_a_checkpoint_comes_back_with_its_file(
    database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint goes on with the former file, and gives it another size and time than the log is named after."""
    path, former = database.path, database.path.with_name("former")
    other = await open_metadata(database.url, 1, 5.0)

    class Checkpointing(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if "wal_checkpoint" in sql and not former.exists():
                path.rename(former)
                copy.replace(path)
                assert (asyncio.run(other.lost_file()), log_beside(path).exists()) == (str(path), False)
            return super().execute(sql, *arguments)

    def connect_late(*arguments: Any) -> sqlite3.Connection:
        connection = Checkpointing(database.path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        return connection

    monkeypatch.setattr(sqlite_copying, "connect_for_writing", connect_late)
    store = await open_metadata(database.url, 1, 5.0)
    await push_manifest(store)
    copy = backup(path, "copy.db")
    await store.maintain()
    monkeypatch.setattr(sqlite_copying, "connect_for_writing", sqlite_connection.connect_for_writing)
    mark = f".of-{former.stat().st_size}-{former.stat().st_mtime_ns}"

    assert sorted(file.name for file in path.parent.glob("*.of-*")) == [
        f"{path.name}-shm{mark}",
        f"{path.name}-wal{mark}",
    ]
    await store.aclose()
    await other.aclose()
    former.replace(path)
    reopened = await open_metadata(database.url, 1, 5.0)
    assert isinstance(await reopened.manifests.find_by_tag(REPOSITORY, TAG), StoredManifest)
    assert [file.name for file in path.parent.glob("*.of-*")] == []
    await reopened.aclose()


async def test_f47_who_ends_before_its_next_look_puts_the_log_aside(
    store: Metadata, database: RawDatabase
) -> None:
    """Whoever opens the new file afterwards would replay it."""
    path = database.path
    await push_manifest(store)
    former = path.rename(path.with_name("former"))
    shutil.copy(former, path)

    await store.aclose()

    assert not log_beside(path).exists()
    former.replace(path)
    assert await finds_pushed_manifest(database.url)


async def test_f47_a_lock_on_the_directory_that_stays_is_told(
    store: Metadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts that copy a directory keep one, and whoever starts would wait without a word."""
    path = database.path
    await push_manifest(store)
    former = path.rename(path.with_name("former"))
    shutil.copy(former, path)
    await store.aclose()
    former.replace(path)
    monkeypatch.setattr(sqlite_files, "_PATIENCE_SECONDS", 0.0)

    with (
        sqlite_files._turn(path.parent, 30.0),
        pytest.raises(MetadataUnavailableError, match=f"has had a lock .* on the directory {path.parent}"),
    ):
        await open_metadata(database.url, 1, 5.0)
    assert await finds_pushed_manifest(database.url)
