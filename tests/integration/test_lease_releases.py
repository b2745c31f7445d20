"""Leases that the database did not take back at once: given back later, never those of others, never without end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from entrepot.auth.grants import Grant, Push
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.bootstrap import Dispatcher
from entrepot.kernel.failpoints import Failpoint
from entrepot.metadata.errors import MetadataError, MetadataUnavailableError
from entrepot.oci.names import RepositoryName
from entrepot.registry.pushes import lease_releases
from entrepot.registry.pushes.lease_releases import LeaseReleases
from entrepot.settings import audit_directory, metadata_path, metadata_url, storage_root
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.drivers.metadata.raw_database import RawDatabase
from tests.drivers.postgres_server import PostgresServer
from tests.running.process_resources import open_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from entrepot.metadata.records import UploadLease

_UPLOADS = "/v2/team/app/blobs/uploads/"
_BLOB = bytes(range(256)) * 200
_GRANT = Grant(Push, RepositoryName.parse("team/app"), Principal(ANONYMOUS, "127.0.0.1", forwarded=False))
_PATIENCE_SECONDS = 60.0
_HELD = "SELECT count(*) FROM upload_sessions WHERE lease_owner IS NOT NULL"
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
_SOON_SECONDS = 20.0
"""Far less than the 30 s of a lease."""


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node on an empty directory, with SQLite."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        yield registry


@pytest.fixture
def database(registry: InProcessRegistry) -> Iterator[sqlite3.Connection]:
    """The node's database, beside the node."""
    with contextlib.closing(
        sqlite3.connect(metadata_path(registry.settings), isolation_level=None)
    ) as connection:
        yield connection


async def test_f13_an_upload_goes_on_as_soon_as_the_database_is_back(tmp_path: Path) -> None:
    """Of requests that an outage ended no lease is left behind: not on their own node, and soon on no other (F13)."""
    with tempfile.TemporaryDirectory(prefix="entrepot-pg-") as directory:
        server = PostgresServer.of_this_session(Path(directory))
        server.start()
        try:
            settings = scratch_settings(tmp_path / "data", metadata__url=server.create_database())
            async with in_process_registry(settings) as node, in_process_registry(settings) as neighbour:
                here, elsewhere = await _begin(node), await _begin(node)
                await _lose_the_database_beneath(node, server, here, elsewhere)
                server.start()

                assert (await node.client.request("PATCH", here, {}, [_BLOB])).status == 202
                replies = await _until_taken(neighbour, elsewhere)
                assert set(replies[:-1]) <= {(409, "1"), (503, "1")}
        finally:
            server.stop()


async def test_f30_a_late_release_ends_no_lease_but_its_own(
    registry: InProcessRegistry, database: sqlite3.Connection
) -> None:
    """Somebody took the upload over before the database took the release: the upload stays theirs (F30)."""
    releases, lease = _releases(registry), await _lease(registry)
    with _refusing(database, "UPDATE OF lease_owner", "NEW.lease_owner IS NULL"):
        await releases.release(lease)
        database.execute("UPDATE upload_sessions SET fence = fence + 1, lease_owner = 'another'")
    await _until(lambda: releases.owed_fence(lease.public_id) is None)

    assert _owners(database) == ["another"]


async def test_a_release_that_failed_is_tried_again(
    registry: InProcessRegistry, database: sqlite3.Connection
) -> None:
    releases, lease = _releases(registry), await _lease(registry)
    with _refusing(database, "UPDATE OF lease_owner", "NEW.lease_owner IS NULL"):
        await releases.release(lease)
        await asyncio.sleep(0.3)
        assert _owners(database) != [None]
    await _until(lambda: releases.owed_fence(lease.public_id) is None)

    assert _owners(database) == [None]


async def test_the_process_that_owes_a_release_goes_on_with_the_upload_at_once(
    registry: InProcessRegistry, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request of the upload gives the lease back itself, whenever the next try would be."""
    monkeypatch.setattr(lease_releases, "_FIRST_PAUSE_SECONDS", 60.0)
    lease = await _lease(registry)
    with _refusing(database, "UPDATE OF lease_owner", "NEW.lease_owner IS NULL"):
        await _releases(registry).release(lease)

    reply = await registry.client.request("PATCH", f"{_UPLOADS}{lease.public_id}", {}, [_BLOB])
    assert reply.status == 202
    assert _releases(registry).owed_fence(lease.public_id) is None


async def test_what_is_owed_is_bounded(
    registry: InProcessRegistry, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound the oldest is let go: it ends by itself first."""
    monkeypatch.setattr(lease_releases, "_MAX_OWED", 3)
    releases, leases = _releases(registry), [await _lease(registry) for _ in range(5)]
    with _refusing(database, "UPDATE OF lease_owner", "NEW.lease_owner IS NULL"):
        for lease in leases:
            await releases.release(lease)
    await _until(lambda: releases.owed_fence(leases[-1].public_id) is None)

    held = database.execute("SELECT public_id FROM upload_sessions WHERE lease_owner IS NOT NULL").fetchall()
    assert {row[0] for row in held} == {lease.public_id for lease in leases[:2]}


async def test_a_lease_that_ended_by_itself_is_owed_no_more(
    registry: InProcessRegistry, database: sqlite3.Connection
) -> None:
    """A database that never takes it is not asked for longer than the lease would have lasted."""
    releases, lease = LeaseReleases(registry.stores.metadata, 0.5), await _lease(registry)
    with _refusing(database, "UPDATE OF lease_owner", "NEW.lease_owner IS NULL"):
        await releases.release(lease)
        assert releases.owed_fence(lease.public_id) == lease.fence
        await _until(lambda: releases.owed_fence(lease.public_id) is None)
        assert _owners(database) != [None]


async def test_f40_a_process_that_ends_tries_a_last_time(
    registry: InProcessRegistry, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_releases, "_FIRST_PAUSE_SECONDS", 60.0)
    releases, lease = _releases(registry), await _lease(registry)
    with _refusing(database, "UPDATE OF lease_owner", "NEW.lease_owner IS NULL"):
        await releases.release(lease)
    await releases.aclose()

    assert _owners(database) == [None]


async def test_f40_a_process_that_ends_gives_back_what_it_owes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole application, as its process ends it."""
    monkeypatch.setattr(lease_releases, "_FIRST_PAUSE_SECONDS", 60.0)
    settings = scratch_settings(tmp_path / "data")
    dispatcher = Dispatcher(settings)
    async with running_lifespan(dispatcher):
        await _owe_a_lease(dispatcher)
        assert await RawDatabase(metadata_url(settings)).value(_HELD) == 1

    assert await RawDatabase(metadata_url(settings)).value(_HELD) == 0


async def test_f40_a_process_ends_though_the_database_keeps_its_leases_waiting(
    tmp_path: Path, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds, here none: afterwards the unit waits still, alone, and no other try follows it."""
    monkeypatch.setattr(lease_releases, "_LAST_TRY_SECONDS", 0.0)
    settings = scratch_settings(tmp_path / "data", metadata__url=empty_postgres_url)
    async with in_process_registry(settings) as registry:
        releases, lease = _releases(registry), await _lease(registry)
        async with _sessions_locked(empty_postgres_url) as server:
            releases.owe(lease, "a test")
            await _until_waiting(server)
            await releases.aclose()

            assert await server.fetchval(_WAITING) == 1
            assert releases.owed_fence(lease.public_id) is None


async def test_f40_what_only_memory_holds_is_written_before_leases_wait_for_the_database(
    tmp_path: Path, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that takes too long to end is killed: the audit log's file is complete and let go of by then (F45)."""
    monkeypatch.setattr(lease_releases, "_FIRST_PAUSE_SECONDS", 60.0)
    settings = scratch_settings(tmp_path / "data", metadata__url=empty_postgres_url)
    spool, ended = str(audit_directory(settings) / "spool"), asyncio.Event()
    dispatcher = Dispatcher(settings)

    async def live() -> None:
        async with running_lifespan(dispatcher):
            await AsgiClient(dispatcher).request("GET", "/v2/_catalog")
            await _owe_a_lease(dispatcher)
            assert any(name.startswith(spool) for name in open_files(os.getpid()))
            await ended.wait()

    living = asyncio.create_task(live())
    await _until_held(living, RawDatabase(empty_postgres_url))
    async with _sessions_locked(empty_postgres_url) as server:
        ended.set()
        await _until_waiting(server)

        assert [name for name in open_files(os.getpid()) if name.startswith(spool)] == []
    await living
    assert await RawDatabase(empty_postgres_url).value(_HELD) == 0


async def test_an_upload_that_could_not_be_cancelled_is_not_locked(
    registry: InProcessRegistry, database: sqlite3.Connection
) -> None:
    """A DELETE that the database refuses changes nothing, and the next request is no conflict."""
    session = await _begin(registry)
    with _refusing(database, "DELETE", "TRUE"), pytest.raises(MetadataError):
        await registry.services.uploads.cancel(_GRANT, _id_of(session))

    assert (await registry.client.request("DELETE", session)).status == 204
    assert _owners(database) == []


async def _owe_a_lease(dispatcher: Dispatcher) -> None:
    """Begin an upload, and owe its lease as after a failure of the database."""
    edges = dispatcher._edges
    assert edges is not None
    uploads = edges.distribution._services.uploads
    reply = await AsgiClient(dispatcher).request("POST", _UPLOADS)
    session = _id_of(reply.headers["location"])
    lease = await uploads._parts.leases.take(_GRANT, session, Failpoint.SESSION_LEASED)
    uploads._parts.leases.release_soon(lease, MetadataUnavailableError("a test"))


async def _until_held(living: asyncio.Task[None], database: RawDatabase) -> None:
    """Wait until the schema and one lease are there."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            assert not living.done(), living
            with contextlib.suppress(asyncpg.UndefinedTableError):
                if await database.value(_HELD):
                    return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def _sessions_locked(url: str) -> AsyncIterator[Any]:
    """Hold the rows of all uploads; the connection is for questions."""
    holder, watcher = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM upload_sessions FOR UPDATE")
            yield watcher
    finally:
        await watcher.close()
        await holder.close()


async def _until_waiting(server: Any) -> None:
    """Wait until a unit waits for a lock."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await server.fetchval(_WAITING):  # noqa: ASYNC110 - the server sends no event
            await asyncio.sleep(0.02)


async def test_an_upload_whose_bytes_are_lost_is_not_locked(
    registry: InProcessRegistry, database: sqlite3.Connection
) -> None:
    """Its session can't be removed while the database refuses that; the next request finds it lost, and no conflict."""
    session = await _begin(registry)
    assert (await registry.client.request("PATCH", session, {}, [_BLOB])).status == 202
    (storage_root(registry.settings) / "uploads" / _id_of(session)).unlink()
    with _refusing(database, "DELETE", "TRUE"), pytest.raises(MetadataError):
        await registry.services.uploads.append(_GRANT, _id_of(session), None, _one(_BLOB))
    assert len(_owners(database)) == 1

    assert (await registry.client.request("PATCH", session, {}, [_BLOB])).status == 404
    assert _owners(database) == []


async def _one(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


async def _lose_the_database_beneath(node: InProcessRegistry, server: PostgresServer, *sessions: str) -> None:
    """Let the database go while requests write to `sessions`, and have them end with it away."""
    away = asyncio.Event()
    writing = [asyncio.Event() for _ in sessions]

    async def body(begun: asyncio.Event) -> AsyncIterator[bytes]:
        yield _BLOB[:100]
        begun.set()
        await away.wait()
        yield _BLOB[100:]

    appends = [
        asyncio.create_task(node.services.uploads.append(_GRANT, _id_of(session), None, body(begun)))
        for session, begun in zip(sessions, writing, strict=True)
    ]
    await asyncio.gather(*(begun.wait() for begun in writing))
    await asyncio.to_thread(server.stop)
    away.set()
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [MetadataUnavailableError] * len(sessions)


async def _until_taken(node: InProcessRegistry, session: str) -> list[tuple[int, str]]:
    """Send the body again until it is taken; return statuses and Retry-After of all answers."""
    replies: list[tuple[int, str]] = []
    started = monotonic()
    while not replies or replies[-1][0] != 202:
        assert monotonic() - started < _SOON_SECONDS, replies
        reply = await node.client.request("PATCH", session, {}, [_BLOB])
        replies.append((reply.status, reply.headers.get("retry-after", "")))
        await asyncio.sleep(0.1)
    return replies


async def _until(condition: Callable[[], bool]) -> None:
    started = monotonic()
    while not condition():
        assert monotonic() - started < _SOON_SECONDS
        await asyncio.sleep(0.02)


async def _begin(registry: InProcessRegistry) -> str:
    reply = await registry.client.request("POST", _UPLOADS)
    assert reply.status == 202
    return reply.headers["location"]


async def _lease(registry: InProcessRegistry) -> UploadLease:
    leases = registry.services.uploads._parts.leases
    return await leases.take(_GRANT, _id_of(await _begin(registry)), Failpoint.SESSION_LEASED)


def _releases(registry: InProcessRegistry) -> LeaseReleases:
    return registry.services.uploads._parts.leases._releases


def _id_of(session: str) -> str:
    return session.rsplit("/", 1)[1]


def _owners(database: sqlite3.Connection) -> list[str | None]:
    return [row[0] for row in database.execute("SELECT lease_owner FROM upload_sessions").fetchall()]


@contextlib.contextmanager
def _refusing(database: sqlite3.Connection, change: str, when: str) -> Iterator[None]:
    """Have the database itself refuse a change of upload sessions."""
    database.execute(
        f"CREATE TRIGGER refusal BEFORE {change} ON upload_sessions WHEN {when} "
        "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
    )
    try:
        yield
    finally:
        database.execute("DROP TRIGGER refusal")
