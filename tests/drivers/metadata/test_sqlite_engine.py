"""What is special to SQLite: who runs what on which thread, how units share a commit, and how its file fares."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import sqlite3
import stat
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from entrepot.kernel.loop_allowance import LoopAllowance
from entrepot.metadata.errors import MetadataTimeoutError, MetadataUnavailableError
from entrepot.metadata.records import ReferrerQuery, StoredManifest
from entrepot.metadata.sql import sqlite as sqlite_engine
from entrepot.metadata.sql import sqlite_writer
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.sqlite import SqliteMetadata
from tests.drivers.metadata.child import Child, push_unit
from tests.drivers.metadata.material import ALICE, REPOSITORY, TAG, fact, new_manifest, push_manifest
from tests.running.audit_material import pull_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.metadata.store import Transaction
    from entrepot.oci.digest import Digest
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase

pytestmark = pytest.mark.usefixtures("calm_disk")


@pytest.fixture
def engine() -> str:
    """Return the only engine with a file."""
    return "sqlite"


@pytest.fixture
async def store(database: RawDatabase, counts: CountingObserver) -> AsyncIterator[SqliteMetadata]:
    """Open the store as what it is."""
    store = await open_metadata(database.url, 1, 5.0, counts)
    assert isinstance(store, SqliteMetadata)
    yield store
    await store.aclose()


class _Gate:
    """A unit that holds the writer thread until it is told to go on."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()

    async def unit(self, tx: Transaction) -> int:
        number = await tx.outbox.append(fact("gate"))
        self.begun.set()
        assert self.released.wait(60)
        return number


async def test_units_that_wait_share_a_commit(store: SqliteMetadata, counts: CountingObserver) -> None:
    gate = _Gate()
    first = asyncio.ensure_future(store.write(gate.unit))
    await asyncio.to_thread(gate.begun.wait, 60)
    others = [asyncio.ensure_future(store.write(lambda tx: tx.outbox.append(fact()))) for _ in range(100)]
    await asyncio.sleep(0)
    gate.released.set()
    await asyncio.gather(first, *others)

    assert await store.outbox.unjournalled_count() == 101
    # The gate may have used up the time of its group, and a slow machine may part the rest some times more.
    assert counts.commits <= 30


async def test_a_cancelled_unit_that_had_begun_is_seen_through(store: SqliteMetadata) -> None:
    gate = _Gate()
    writing = asyncio.ensure_future(store.write(gate.unit))
    await asyncio.to_thread(gate.begun.wait, 60)
    for _ in range(2):
        writing.cancel()
        await asyncio.sleep(0.01)
    assert not writing.done()
    gate.released.set()

    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await store.outbox.unjournalled_count() == 1


async def test_a_cancelled_unit_that_had_not_begun_never_runs(store: SqliteMetadata) -> None:
    gate = _Gate()
    first = asyncio.ensure_future(store.write(gate.unit))
    await asyncio.to_thread(gate.begun.wait, 60)
    second = asyncio.ensure_future(store.write(push_unit))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.released.set()
    await first

    assert await store.write(lambda tx: tx.repositories.find(REPOSITORY)) is None


async def test_a_unit_that_can_not_begin_in_time_is_given_back(
    store: SqliteMetadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "_PATIENCE_SECONDS", 0.3)
    with database.path.with_name("metadata.db.writer").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(MetadataUnavailableError, match="could begin"):
            await store.write(push_unit)

    assert await store.write(lambda tx: tx.repositories.find(REPOSITORY)) is None
    await store.write(push_unit)


async def test_point_reads_stay_on_the_event_loop(
    store: SqliteMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await push_manifest(store)
    store._reader._pool.executor.shutdown()

    assert isinstance(await store.manifests.find_by_tag(REPOSITORY, TAG), StoredManifest)
    assert isinstance(await store.manifests.find_by_digest(REPOSITORY, digest), StoredManifest)
    with pytest.raises(RuntimeError):
        await store.tags.list_names(REPOSITORY, "", 10)


@pytest.mark.parametrize(("referrers", "stays"), [(0, True), (10, True), (60, False)])
async def test_a_list_of_referrers_stays_on_the_event_loop_as_long_as_it_is_short(
    store: SqliteMetadata, counts: CountingObserver, referrers: int, stays: bool
) -> None:
    subject = await push_manifest(store)
    await _attach(store, subject, referrers)
    query = ReferrerQuery(REPOSITORY, subject, f"sha256-{subject.hex}", None, "", 1000, 4 * 1024 * 1024)
    page = await store.referrers.list_page(query)
    assert len(page.referrers) == referrers
    counts.statements.clear()

    assert await store.referrers.list_page(query) == page
    assert list(counts.statements) == ["referrers.list"]
    store._reader._pool.executor.shutdown()
    for _ in range(100):  # so many that the steps of all runs together would be too many
        if stays:
            assert await store.referrers.list_page(query) == page
        else:
            with pytest.raises(RuntimeError):
                await store.referrers.list_page(query)
        assert isinstance(await store.manifests.find_by_tag(REPOSITORY, TAG), StoredManifest)


async def _attach(store: SqliteMetadata, subject: Digest, count: int) -> None:
    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        for number in range(count):
            await tx.manifests.put(new_manifest(row.id, f"referrer {number}", subject=subject))

    await store.write(unit)


async def test_slow_point_reads_move_to_threads_and_come_back(store: SqliteMetadata) -> None:
    await push_manifest(store)
    store._reader.forget()  # what is kept is not read, and has tests of its own
    on_loop = store._reader._loop_connection
    seen: list[int] = []
    on_loop.set_trace_callback(lambda _: seen.append(threading.get_ident()))
    store._reader._allowance = LoopAllowance(itertools.count().__next__)
    store._reader._allowance.record(0.0, 1e9)

    await store.manifests.find_by_tag(REPOSITORY, TAG)
    assert seen == []
    store._reader._allowance = LoopAllowance()
    await store.manifests.find_by_tag(REPOSITORY, TAG)
    assert seen == [threading.get_ident()]
    on_loop.set_trace_callback(None)


def test_the_allowance_of_the_loop_is_a_moving_average() -> None:
    allowance = LoopAllowance(itertools.count().__next__)
    now = 100.0
    for _ in range(1000):
        allowance.record(now, now + 0.0005)
    allowance.record(now, now + 0.004)
    assert allowance.allows(now)

    for _ in range(10):
        allowance.record(now, now + 0.004)
    assert not allowance.allows(now + 0.5)
    assert allowance.allows(now + 2)


def test_waiting_for_a_processor_is_not_a_slow_disk() -> None:
    allowance = LoopAllowance(lambda: 7)
    for _ in range(100):
        allowance.record(100.0, 101.0)
    assert allowance.allows(101.0)


async def test_a_busy_file_moves_a_point_read_to_a_thread(
    store: SqliteMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await push_manifest(store)
    monkeypatch.setattr(store._reader, "_loop_connection", _BusyConnection())

    found = await store.manifests.describe_by_tag(REPOSITORY, TAG)

    monkeypatch.undo()
    assert getattr(found, "digest", None) == digest


async def test_no_writer_waits_for_a_log_to_be_cut_that_somebody_reads_for_long_f8(
    store: SqliteMetadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would wait for the reader in the turn of all writers, each second anew; it is cut once nobody reads it."""
    monkeypatch.setattr(sqlite_engine, "_LARGE_LOG_BYTES", 0)
    asked: list[str] = []
    store._copier._connection.set_trace_callback(asked.append)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM tags").fetchall()
        await push_manifest(store)
        await store.maintain()
        assert not [sql for sql in asked if "TRUNCATE" in sql]
        reader.execute("COMMIT")

        await store.maintain()

    assert await store.write_ahead_log_bytes() == 0


async def test_a_store_is_opened_beside_a_process_that_holds_the_whole_file(database: RawDatabase) -> None:
    """As the last one to close it does, while it copies the log back."""
    with closing(sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN IMMEDIATE")
        opening = asyncio.ensure_future(asyncio.to_thread(SqliteMetadata, database.path, 10.0, None))
        done, _ = await asyncio.wait({opening}, timeout=0.3)
        assert not done, opening.exception()
        await asyncio.to_thread(holder.close)

    store = await opening
    assert await store.outbox.unjournalled_count() == 0
    await store.aclose()


async def test_the_connection_of_the_event_loop_waits_for_no_lock(store: SqliteMetadata) -> None:
    """Once it is open; those on threads do wait, for the time of a statement."""
    ((at_once,),) = store._reader._loop_connection.execute("PRAGMA busy_timeout").fetchall()
    waits = {
        row
        for one in store._reader._pool._connections
        for row in one.execute("PRAGMA busy_timeout").fetchall()
    }

    assert at_once == 0
    assert min(waits) > (0,)


async def test_the_file_and_its_companions_belong_to_their_owner_alone(
    store: SqliteMetadata, database: RawDatabase
) -> None:
    await store.write(push_unit)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in database.path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"metadata.db", "metadata.db-wal", "metadata.db.turnstile", "metadata.db.writer"} <= set(modes)


async def test_only_upkeep_writes_the_log_back_and_cuts_it_when_large(
    store: SqliteMetadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        await store.write(lambda tx: tx.outbox.append(fact()))
    before = database.path.stat().st_size
    log = await store.write_ahead_log_bytes()
    assert log is not None
    assert log > 0

    await store.maintain()
    assert await store.write_ahead_log_bytes() == log
    assert database.path.stat().st_size >= before
    monkeypatch.setattr(sqlite_engine, "_LARGE_LOG_BYTES", log - 1)
    await store.maintain()
    assert await store.write_ahead_log_bytes() == 0
    assert await store.outbox.unjournalled_count() == 20


async def test_f5_a_full_disk_fails_the_unit_with_a_reason_and_heals(
    database: RawDatabase,
) -> None:
    store = await open_metadata(database.url, 1, 5.0)
    await store.write(lambda tx: tx.outbox.append(fact()))
    child = await Child.start("outgrow", database.url, f"{database.path}-wal")
    child.go()

    refused, accepted = await child.result()

    assert "metadata database is unavailable" in refused
    assert str(database.path) in refused
    assert accepted == "written"
    assert await database.value("SELECT count(*) FROM tags") == 1
    await store.aclose()


async def test_f9_a_read_only_file_refuses_writes_and_answers_reads(store: SqliteMetadata) -> None:
    await push_manifest(store)
    store._writer._connection.execute("PRAGMA query_only = ON")

    with pytest.raises(MetadataUnavailableError, match="read-only"):
        await push_manifest(store, '{"b":1}')
    assert isinstance(await store.manifests.find_by_tag(REPOSITORY, TAG), StoredManifest)
    store._writer._connection.execute("PRAGMA query_only = OFF")
    await push_manifest(store, '{"b":1}')


async def test_a_file_that_is_no_database_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    path.write_bytes(b"no database at all, but quite some text\n" * 200)

    with pytest.raises(MetadataUnavailableError, match="no SQLite database"):
        await open_metadata(f"sqlite://{path}", 1, 5.0)


async def test_a_commit_that_fails_fails_its_whole_group(store: SqliteMetadata) -> None:
    """Constraints put off until the COMMIT make it fail after every unit had succeeded."""
    store._writer._connection.execute("PRAGMA foreign_keys = ON")
    gate = _Gate()
    first = asyncio.ensure_future(store.write(gate.unit))
    await asyncio.to_thread(gate.begun.wait, 60)

    async def dangling(tx: Transaction) -> None:
        store._writer._connection.execute("PRAGMA defer_foreign_keys = ON")
        await tx.blobs.link(12345, 67890, "alice")

    second = asyncio.ensure_future(store.write(dangling))
    await asyncio.sleep(0)
    gate.released.set()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)

    assert isinstance(outcomes[1], Exception)
    left = await store.outbox.unjournalled_count()
    assert left == (0 if isinstance(outcomes[0], Exception) else 1)
    await store.write(push_unit)


class _BusyConnection:
    """Answers as a connection to a file that is being recovered does."""

    def execute(self, *_: object) -> None:
        """Refuse."""
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
        error.sqlite_errorname = "SQLITE_BUSY_RECOVERY"
        raise error


async def test_f47_a_file_that_was_replaced_or_removed_is_told_by_its_name_alone(
    store: SqliteMetadata, database: RawDatabase
) -> None:
    """Checkpoints, VACUUM and a backup written into it leave it the same file; one that is put back is, too."""
    path = database.path
    assert await store.lost_file() == ""
    await store.write(lambda tx: tx.outbox.append(fact("a")))
    await store.maintain()
    with closing(sqlite3.connect(path)) as other, closing(sqlite3.connect(":memory:")) as copy:
        other.execute("VACUUM")
        other.backup(copy)
        copy.backup(other)
    assert await store.lost_file() == ""

    aside = path.rename(path.with_suffix(".aside"))
    assert await store.lost_file() == str(path)
    path.write_bytes(aside.read_bytes())
    assert await store.lost_file() == str(path)
    aside.replace(path)
    assert await store.lost_file() == ""


async def test_f47_the_log_of_a_file_is_not_copied_into_one_that_replaced_it(
    store: SqliteMetadata, database: RawDatabase
) -> None:
    """The log lies beside both under one name, and does not tell which of them it belongs to."""
    path = database.path
    await store.maintain()
    copy = path.read_bytes()
    await store.write(lambda tx: tx.outbox.append(fact("only in the log")))
    path.with_suffix(".copy").write_bytes(copy)
    path.with_suffix(".copy").replace(path)

    await store.maintain()

    assert path.read_bytes() == copy


async def test_a_listing_that_takes_too_long_is_ended_and_its_thread_is_free_again_i12(
    store: SqliteMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of them would else keep all others waiting."""
    await store.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(2000)]))
    hours = itertools.count(0, 3600)
    with monkeypatch.context() as patch:
        patch.setattr("entrepot.metadata.sql.sqlite_reader.perf_counter", lambda: float(next(hours)))
        patch.setattr("entrepot.metadata.sql.sqlite_threads._STEPS_BETWEEN_LOOKS", 1000)
        for _ in range(4):
            with pytest.raises(MetadataTimeoutError, match="unsealed_count took longer than"):
                await store.audit.unsealed_count()

    assert await store.audit.unsealed_count() == 2000
