"""A PostgreSQL server that grants fewer connections than a pool may hold: waited for, bounded, and told (F18)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from asyncpg.pool import Pool

from entrepot.metadata.errors import MetadataTimeoutError, MetadataUnavailableError
from entrepot.metadata.sql.engine_facts import read_engine_facts
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.postgres import PostgresMetadata
from tests.drivers.metadata.material import REPOSITORY, TAG, push_manifest, tag_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.drivers.metadata.raw_database import RawDatabase

_POOL_SIZE = 10


@pytest.fixture
def engine() -> str:
    """Return the only engine with connections to run out of."""
    return "postgresql"


@pytest.fixture
async def limited_url(database: RawDatabase) -> AsyncIterator[str]:
    """Return the database's address for a user to whom the server grants two connections."""
    await database.fetch("CREATE ROLE limited LOGIN CONNECTION LIMIT 2")
    await database.fetch("GRANT ALL ON ALL TABLES IN SCHEMA public TO limited")
    await database.fetch("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO limited")
    yield database.url.replace("//postgres@", "//limited@")
    await database.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'limited'"
    )
    await database.fetch("DROP OWNED BY limited")
    await database.fetch("DROP ROLE limited")


async def test_f18_a_pool_that_cannot_grow_waits_for_its_own(limited_url: str, database: RawDatabase) -> None:
    """Many readers and writers at once share two connections, and none of them hears of it (F18)."""
    async with _opened(limited_url, 60.0) as metadata:
        digest = await push_manifest(metadata)
        await tag_manifest(metadata, TAG, digest)
        for _ in range(5):
            reads = [metadata.manifests.find_by_tag(REPOSITORY, TAG) for _ in range(24)]
            writes = [tag_manifest(metadata, f"t{number}", digest) for number in range(24)]
            found = await asyncio.gather(*reads)
            await asyncio.gather(
                *writes, *(metadata.manifests.find_by_tag(REPOSITORY, TAG) for _ in range(24))
            )
            assert {str(getattr(row, "digest", row)) for row in found} == {str(digest)}

    assert await database.value("SELECT count(*) FROM tags") == 25


async def test_f18_the_wait_for_a_connection_is_bounded(limited_url: str) -> None:
    """Whoever gets none within the time of a statement is told what the server grants, and what to change (F18)."""
    async with _opened(limited_url, 60.0) as metadata:
        digest = await push_manifest(metadata)
    async with _opened(limited_url, 1.0) as metadata:
        async with _all_held(metadata, 2):
            started = monotonic()
            for attempt in (
                metadata.manifests.find_by_tag(REPOSITORY, TAG),
                tag_manifest(metadata, TAG, digest),
            ):
                with pytest.raises(
                    MetadataTimeoutError, match=r"grants this process \d of 10.*max_connections"
                ):
                    await attempt
            assert 1.9 < monotonic() - started < 30
        await tag_manifest(metadata, TAG, digest)


async def test_f18_a_first_connection_that_is_refused_fails_at_once(
    limited_url: str, database: RawDatabase
) -> None:
    """There is nothing to wait for; the message names both settings (F18)."""
    await database.fetch("ALTER ROLE limited CONNECTION LIMIT 0")
    started = monotonic()
    with pytest.raises(MetadataUnavailableError, match=r"metadata.pool_size.*max_connections"):
        await open_metadata(limited_url, _POOL_SIZE, 30.0)
    assert monotonic() - started < 20  # and not for the time of a statement


async def test_f18_a_pool_whose_connections_are_all_gone_fails_at_once(
    limited_url: str, database: RawDatabase
) -> None:
    """Without one of its own a process waits for nobody: it can't know when others let go of theirs (F18)."""
    async with _opened(limited_url, 30.0) as metadata:
        digest = await push_manifest(metadata)
        await database.fetch("ALTER ROLE limited CONNECTION LIMIT 0")
        await database.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'limited'"
        )
        started = monotonic()
        with pytest.raises(MetadataUnavailableError, match="SQLSTATE 53300"):
            await metadata.manifests.find_by_tag(REPOSITORY, TAG)
        assert monotonic() - started < 20  # and not for the time of a statement

        await database.fetch("ALTER ROLE limited CONNECTION LIMIT 2")
        await tag_manifest(metadata, TAG, digest)


async def test_f18_a_pool_grows_again_once_the_server_grants_more(
    limited_url: str, database: RawDatabase
) -> None:
    async with _opened(limited_url, 60.0) as metadata:
        digest = await push_manifest(metadata)
        await asyncio.gather(*(tag_manifest(metadata, f"t{number}", digest) for number in range(24)))
        await database.fetch("ALTER ROLE limited CONNECTION LIMIT 50")
        async with _all_held(metadata, _POOL_SIZE):
            open_now = await database.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'limited'")

    assert open_now == _POOL_SIZE


async def test_f18_a_pool_grows_on_though_a_refusal_overtook_what_was_granted(
    limited_url: str, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two that ask at once is granted a connection after the other was refused; more are asked for (F18)."""
    await database.fetch("ALTER ROLE limited CONNECTION LIMIT 1")
    async with _opened(limited_url, 60.0) as metadata, AsyncExitStack() as stack:
        pool = metadata._pool
        await stack.enter_async_context(pool.held(60.0))
        connect: Callable[[object], Awaitable[object]] = vars(Pool)["_get_new_connection"]
        asked, may_connect = asyncio.Event(), asyncio.Event()

        async def connect_late(asked_pool: object) -> object:
            monkeypatch.undo()
            asked.set()
            await may_connect.wait()
            return await connect(asked_pool)

        monkeypatch.setattr(Pool, "_get_new_connection", connect_late)
        granted = asyncio.create_task(stack.enter_async_context(pool.held(60.0)))
        await asked.wait()
        refused = asyncio.create_task(stack.enter_async_context(pool.held(60.0)))
        while not pool._line:  # noqa: ASYNC110  # the server refuses it in its own time
            await asyncio.sleep(0.01)
        await database.fetch("ALTER ROLE limited CONNECTION LIMIT 50")
        may_connect.set()

        await asyncio.gather(granted, refused)
        async with _all_held(metadata, _POOL_SIZE - 3):
            assert pool._pool.get_size() == _POOL_SIZE


async def test_f18_a_server_that_grants_no_more_is_asked_for_one_in_a_second(
    limited_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal costs the server a process; requests that are served over what there is ask for nothing (F18)."""
    async with _opened(limited_url, 60.0) as metadata:
        digest = await push_manifest(metadata)
        await tag_manifest(metadata, TAG, digest)
        refusals = list[float]()
        later = metadata._pool._grow_later

        def refused() -> None:
            refusals.append(monotonic())
            later()

        monkeypatch.setattr(metadata._pool, "_grow_later", refused)
        until = monotonic() + 2.5
        while monotonic() < until:
            await asyncio.gather(*(metadata.manifests.find_by_tag(REPOSITORY, TAG) for _ in range(12)))

    assert len([at for at in refusals if until - 2 < at <= until]) <= 4


async def test_whoever_gives_up_waiting_leaves_no_gap(limited_url: str) -> None:
    """Requests that end while they wait take no connection with them."""
    async with _opened(limited_url, 60.0) as metadata:
        digest = await push_manifest(metadata)
        for _ in range(20):
            waiting = [asyncio.create_task(tag_manifest(metadata, TAG, digest)) for _ in range(12)]
            await asyncio.sleep(0.01)
            for task in waiting[::2]:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        async with _all_held(metadata, 2):
            pass
        assert metadata._pool._inside == 0


async def test_whoever_is_let_in_at_the_moment_of_giving_up_leaves_no_gap(limited_url: str) -> None:
    """A request ends in the same turn of the event loop in which a connection came free for it."""
    async with _opened(limited_url, 60.0) as metadata:
        pool = metadata._pool
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(pool.held(60.0))
            connection = await pool.acquire(60.0)
            waiting = asyncio.create_task(pool.acquire(60.0))
            while not pool._line:  # noqa: ASYNC110  # the server refuses a third one in its own time
                await asyncio.sleep(0.01)
            (place,) = pool._line

            await pool.release(connection, 60.0)
            assert place.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        assert pool._inside == 0
        async with _all_held(metadata, 2):
            pass


async def test_the_engine_tells_what_it_grants(limited_url: str) -> None:
    async with _opened(limited_url, 60.0):
        options = (await read_engine_facts(limited_url)).options

    names = (
        "max_connections",
        "superuser_reserved_connections",
        "role_connection_limit",
        "addresses_of_nodes",
    )
    assert [options[name] for name in names] == ["200", "3", "2", "1"]


@asynccontextmanager
async def _opened(url: str, timeout_seconds: float) -> AsyncIterator[PostgresMetadata]:
    metadata = await open_metadata(url, _POOL_SIZE, timeout_seconds)
    assert isinstance(metadata, PostgresMetadata)
    try:
        yield metadata
    finally:
        await metadata.aclose()


@asynccontextmanager
async def _all_held(metadata: PostgresMetadata, connections: int) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for _ in range(connections):
            await stack.enter_async_context(metadata._pool.held(60.0))
        yield
