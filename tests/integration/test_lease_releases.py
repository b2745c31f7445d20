"""Leases that the database did not take back at once: given back later, never those of others, never without end."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from entrepot.auth.grants import Grant, Push
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.kernel.failpoints import Failpoint
from entrepot.metadata.errors import MetadataError, MetadataUnavailableError
from entrepot.oci.names import RepositoryName
from entrepot.registry import lease_releases
from entrepot.registry.lease_releases import LeaseReleases
from entrepot.settings import metadata_path
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.drivers.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from entrepot.metadata.records import UploadLease

_UPLOADS = "/v2/team/app/blobs/uploads/"
_BLOB = bytes(range(256)) * 200
_GRANT = Grant(Push, RepositoryName.parse("team/app"), Principal(ANONYMOUS, "127.0.0.1", forwarded=False))
_SOON_SECONDS = 4.0
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


async def test_an_upload_that_could_not_be_cancelled_is_not_locked(
    registry: InProcessRegistry, database: sqlite3.Connection
) -> None:
    """A DELETE that the database refuses changes nothing, and the next request is no conflict."""
    session = await _begin(registry)
    with _refusing(database, "DELETE", "TRUE"), pytest.raises(MetadataError):
        await registry.services.uploads.cancel(_GRANT, _id_of(session))

    assert (await registry.client.request("DELETE", session)).status == 204
    assert _owners(database) == []


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
