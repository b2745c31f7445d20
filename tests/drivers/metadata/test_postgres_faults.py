"""What the store does when PostgreSQL, or the way to it, fails: repeat what is safe to repeat, say so otherwise."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import asyncpg
import pytest

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.postgres import PostgresMetadata
from tests.drivers.metadata.material import ALICE, REPOSITORY, TAG, fact, push_manifest, tag_manifest
from tests.drivers.metadata.postgres_relay import Loss, PostgresRelay
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.drivers.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from tests.drivers.metadata.counting import CountingObserver

_END_IDLE_UNITS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'entrepot' AND state = 'idle in transaction'
"""
_END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'entrepot'"


@pytest.fixture
def engine() -> str:
    """Return the only engine with a way to it."""
    return "postgresql"


@pytest.fixture
async def relay(database: RawDatabase) -> AsyncIterator[PostgresRelay]:
    """Stand between the store and the server."""
    with tempfile.TemporaryDirectory(prefix="entrepot-relay-") as directory:
        async with PostgresRelay(database.url, Path(directory)) as relay:
            yield relay


@pytest.mark.parametrize("pool_size", [1, 4])
@pytest.mark.parametrize(("loss", "expected_runs"), [(Loss.REPLY, 1), (Loss.REQUEST, 2)])
async def test_f15_a_lost_commit_is_done_exactly_once(
    relay: PostgresRelay, database: RawDatabase, loss: Loss, expected_runs: int, pool_size: int
) -> None:
    """Also where all connections of the pool are lost so: what became of the unit is asked over another one."""
    metadata = await open_metadata(relay.url, pool_size, 10.0)
    runs = 0

    async def unit(tx: Transaction) -> int:
        nonlocal runs
        runs += 1
        return await tx.outbox.append(fact())

    relay.loss = loss
    async with asyncio.timeout(60):
        number = await metadata.write(unit)

    assert await database.fetch("SELECT id FROM outbox") == [(number,)]
    assert runs == expected_runs
    await metadata.aclose()


async def test_f13_a_backend_that_dies_in_mid_unit_costs_a_repetition(
    metadata: Metadata, database: RawDatabase
) -> None:
    runs = 0

    async def unit(tx: Transaction) -> int:
        nonlocal runs
        runs += 1
        number = await tx.outbox.append(fact())
        if runs == 1:
            database.run_elsewhere(_END_IDLE_UNITS)
        await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        return number

    number = await metadata.write(unit)

    assert runs == 2
    assert await database.fetch("SELECT id FROM outbox") == [(number,)]


async def test_f13_a_read_survives_the_end_of_its_connection(
    metadata: Metadata, database: RawDatabase
) -> None:
    digest = await push_manifest(metadata)
    await database.fetch(_END_ALL)

    found = await metadata.manifests.describe_by_tag(REPOSITORY, TAG)

    assert getattr(found, "digest", None) == digest


async def test_f18_a_deadlock_costs_a_repetition(metadata: Metadata, database: RawDatabase) -> None:
    first = await push_manifest(metadata, '{"a":1}', tag="a")
    second = await push_manifest(metadata, '{"b":1}', tag="b")
    locked = asyncio.Event()
    other = await asyncpg.connect(database.url)
    runs = 0

    async def unit(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        await tx.tags.put(row.id, "a", second, ALICE)
        locked.set()
        await tx.tags.put(row.id, "b", first, ALICE)

    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT 1 FROM tags WHERE name = 'b' FOR UPDATE")
    writing = asyncio.ensure_future(metadata.write(unit))
    await locked.wait()
    await _until_waiting(database)
    # The server sacrifices whoever looks for a deadlock while there is one: the unit, a second after it began to wait.
    await other.execute("SET deadlock_timeout = '100s'")
    await other.execute("SELECT 1 FROM tags WHERE name = 'a' FOR UPDATE")
    await transaction.commit()
    await other.close()
    await writing

    assert runs == 2
    assert await _targets(database) == {"a": str(second), "b": str(first)}


async def test_f18_an_exhausted_pool_is_said_so_in_time(database: RawDatabase) -> None:
    digest = await _pushed(database)
    metadata = await open_metadata(database.url, 1, 1.0)
    assert isinstance(metadata, PostgresMetadata)
    started = monotonic()
    async with metadata._pool.held(10.0):
        with pytest.raises(MetadataUnavailableError):
            await metadata.manifests.find_by_tag(REPOSITORY, TAG)
        with pytest.raises(MetadataUnavailableError):
            await tag_manifest(metadata, TAG, digest)
    assert monotonic() - started < 30
    await tag_manifest(metadata, TAG, digest)
    await metadata.aclose()


async def _pushed(database: RawDatabase) -> Digest:
    """Push with all the time that a busy machine needs."""
    metadata = await open_metadata(database.url, 1, 60.0)
    digest = await push_manifest(metadata)
    await metadata.aclose()
    return digest


async def test_f14_a_unit_that_waits_for_too_long_is_given_up(database: RawDatabase) -> None:
    digest = await _pushed(database)
    metadata = await open_metadata(database.url, 2, 1.0)
    async with _tags_locked(database):
        with pytest.raises(MetadataUnavailableError, match="timeout"):
            await tag_manifest(metadata, TAG, digest)
    await metadata.aclose()


async def test_a_cancelled_unit_is_seen_through_before_the_cancellation_is_raised(
    metadata: Metadata, database: RawDatabase
) -> None:
    await push_manifest(metadata, '{"a":1}')
    second = await push_manifest(metadata, '{"b":1}', tag=None)
    async with _tags_locked(database):
        writing = asyncio.ensure_future(tag_manifest(metadata, TAG, second))
        await _until_waiting(database)
        writing.cancel()
        await asyncio.sleep(0.05)
        assert not writing.done()

    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await _targets(database) == {TAG: str(second)}


async def test_f13_reads_and_writes_fail_fast_without_a_server_and_heal_with_it(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="entrepot-pg-") as directory:
        server = PostgresServer.of_this_session(Path(directory))
        server.start()
        url = server.create_database()
        await initialise_if_empty(url, unheard)
        metadata = await open_metadata(url, 4, 10.0)
        try:
            digest = await push_manifest(metadata)
            server.crash()
            started = monotonic()
            with pytest.raises(MetadataUnavailableError):
                await metadata.manifests.find_by_tag(REPOSITORY, TAG)
            with pytest.raises(MetadataUnavailableError):
                await metadata.instance.ping()
            with pytest.raises(MetadataUnavailableError):
                await push_manifest(metadata, '{"b":1}')
            assert monotonic() - started < 25  # not one of them waited for the time of a statement
            server.start()
            assert getattr(await metadata.manifests.find_by_tag(REPOSITORY, TAG), "digest", None) == digest
            await push_manifest(metadata, '{"b":1}')
        finally:
            await metadata.aclose()
            server.stop()


async def test_an_unreachable_server_is_told_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(MetadataUnavailableError) as caught:
        await open_metadata(f"postgresql://user:sesame@/x?host={tmp_path}", 1, 1.0)
    assert "sesame" not in str(caught.value)


async def test_counts_leave_out_units_that_were_undone(
    metadata: Metadata, database: RawDatabase, counts: CountingObserver
) -> None:
    runs = 0

    async def unit(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await tx.outbox.append(fact())
        if runs == 1:
            database.run_elsewhere(_END_IDLE_UNITS)

    await metadata.write(unit)

    assert (runs, counts.commits) == (2, 1)


@asynccontextmanager
async def _tags_locked(database: RawDatabase) -> AsyncGenerator[None]:
    """Hold the lock of every tag."""
    connection = await asyncpg.connect(database.url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM tags FOR UPDATE")
            yield
    finally:
        await connection.close()


async def _until_waiting(database: RawDatabase) -> None:
    """Wait until a unit waits for a lock."""
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(60):
        while not await database.value(statement):  # noqa: ASYNC110 - the server sends no event
            await asyncio.sleep(0.02)


async def _targets(database: RawDatabase) -> dict[str, str]:
    rows = await database.fetch(
        "SELECT t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id"
    )
    return dict(rows)


async def test_f18_who_stops_waiting_for_a_silent_server_is_told_nothing_else(relay: PostgresRelay) -> None:
    """That the connection can't be handed back in time does not take the place of the cancellation."""
    metadata = await open_metadata(relay.url, 1, 1.0)
    await metadata.instance.ping()
    relay.is_silent = True
    waiting = asyncio.create_task(metadata.orphans.last_fact())
    await relay.swallowed.wait()
    waiting.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait((waiting,))
    relay.is_silent = False
    await metadata.aclose()

    assert waiting.cancelled()
