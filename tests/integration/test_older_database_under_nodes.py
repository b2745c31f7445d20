"""An older copy of the database is put under nodes that run (F47): it is noticed, and no number means two things."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog.testing

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.blobstore.keys import JOURNAL
from entrepot.bootstrap import StoreProbes, edges, open_stores
from entrepot.bootstrap import probes as bootstrap_probes
from entrepot.bootstrap.services import find_mismatch
from entrepot.metadata.errors import MetadataError
from entrepot.rebuild.catching_up import find_catch_up_start
from entrepot.rebuild.errors import RebuildRefusedError
from entrepot.registry.store_match import watch as store_watch
from entrepot.registry.store_match.ownership import find_discrepancy
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.settings import metadata_path
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import NAME, image, push_blobs, put
from tests.drivers.blobstore.staging import keys_of
from tests.integration.rebuilding import compact, compacted_registry, database_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from entrepot.bootstrap.stores import Stores
    from entrepot.settings import Settings
    from tests.drivers.postgres_server import PostgresServer


class Node:
    """A registry that runs on PostgreSQL, and an older copy of its database to be put under it."""

    def __init__(self, registry: InProcessRegistry, server: PostgresServer, url: str) -> None:
        self.registry = registry
        self._server = server
        self._name = _database_name(url)

    async def put_older_copy_in_place(self) -> None:
        """Drop the database under its connections, and give the copy its name."""
        await _run(self._server, f'DROP DATABASE "{self._name}" WITH (FORCE)')
        await _run(self._server, f'ALTER DATABASE "{self._name}_copy" RENAME TO "{self._name}"')
        for _ in range(20):  # each connection of the pool learns of it by its own failure
            with contextlib.suppress(MetadataError):
                await self.registry.stores.metadata.instance.ping()

    async def push(self, *names: str) -> Sequence[int]:
        """Push an image of its own under each name, and return the replies' statuses."""
        return [
            (await put(self.registry.client, name, image(annotations={"n": name}))).status for name in names
        ]

    async def segments(self) -> dict[str, bytes]:
        """Return the journal's segments, with their content."""
        blobs = self.registry.stores.blobs
        keys = [key for key in await keys_of(blobs, JOURNAL) if "/segments/" in key]
        return {key: b"".join([chunk async for chunk in blobs.read(key)]) for key in keys}


def _database_name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


async def _run(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def node(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Node]:
    """A node that took `old`, whose database was copied then, and that took `later` in two segments since."""
    url = postgres_server.create_database()
    settings = scratch_settings(
        tmp_path / "data",
        storage__root=str(tmp_path / "blobs"),
        metadata__url=url,
        cache__small_blob_bytes="0",
    )
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "old", image(annotations={"n": "old"}))
        await compact(registry.stores)
    name = _database_name(url)
    await _run(postgres_server, f'CREATE DATABASE "{name}_copy" TEMPLATE "{name}"')
    async with in_process_registry(settings) as registry:
        node = Node(registry, postgres_server, url)
        for later in ("later-1", "later-2"):
            await node.push(later)
            await compact(registry.stores)
        yield node


def _watch(registry: InProcessRegistry) -> StoreWatch:
    return registry.services.store_watch


def _events(told: Sequence[Any]) -> list[str]:
    return [line["event"] for line in told if line["event"].startswith(("database.", "journal."))]


async def test_f47_an_older_copy_is_noticed_by_the_next_look(node: Node) -> None:
    """Pushes get 405 from then on, pulls go on, the gauge is 1, readiness fails, and the log tells once."""
    registry, watch = node.registry, _watch(node.registry)
    probes = StoreProbes(registry.settings)
    assert (await watch.look(), (await probes.write_ready()).ok) == (None, True)

    await node.put_older_copy_in_place()
    with structlog.testing.capture_logs() as told:
        for _ in range(2):
            assert await watch.look() is not None

    reply = await put(registry.client, "new", image(annotations={"n": "new"}))
    assert (reply.status, "what its database does not know" in reply.body.decode()) == (405, True)
    assert (await registry.client.request("GET", f"/v2/{NAME}/manifests/old")).status == 200
    assert registry.services.metrics.database_mismatch._value.get() == 1
    ready = await probes.write_ready()
    for _ in range(20):  # each connection of its pool learns of it by its own failure
        if "rebuild --catch-up" in ready.detail:
            break
        ready = await probes.write_ready()
    await probes.aclose()
    assert not ready.ok
    assert "rebuild --catch-up" in ready.detail
    assert _events(told) == ["database.mismatch"]


async def test_f47_a_copy_that_has_overtaken_the_journal_writes_no_segment(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No number is ahead any more: what the numbers mean tells worker, start, catching up, and each node."""
    before = await node.segments()
    await node.put_older_copy_in_place()
    assert set(await node.push(*(f"mine-{number}" for number in range(6)))) == {201}

    with pytest.raises(StorageUnavailableError, match="tells of other facts than this database"):
        await compact(node.registry.stores)

    assert await node.segments() == before
    async with open_stores(node.registry.settings) as stores:
        mismatch = await find_mismatch(stores)
        with pytest.raises(RebuildRefusedError, match="two histories"):
            await find_catch_up_start(stores.metadata, stores.blobs)
    assert mismatch is not None
    assert "under the same numbers" in mismatch.summary
    # No other process has seen anything but facts that get no segment.
    monkeypatch.setattr(store_watch, "_PATIENCE_SECONDS", 0.0)
    assert await _watch(node.registry).look() == mismatch
    assert await node.push("one-more") == [405]


async def test_f47_a_copy_that_shares_its_waiting_facts_with_the_journal_is_told_by_the_others(
    node: Node,
) -> None:
    """What the copy had not compacted is the same in both; only entries tell of what came between."""
    registry = node.registry
    waiting = await node.segments()
    await database_of(registry.settings).fetch("UPDATE outbox SET journalled_at = NULL")
    await node.push("only-an-entry")
    entries = [key for key in await keys_of(registry.stores.blobs, JOURNAL) if "/entries/" in key]

    await database_of(registry.settings).fetch(
        "UPDATE outbox SET actor = 'another' WHERE id = (SELECT max(id) FROM outbox)"
    )

    with pytest.raises(StorageUnavailableError, match=r"/entries/.* tells of other facts"):
        await compact(registry.stores)
    assert await node.segments() == waiting
    assert [key for key in await keys_of(registry.stores.blobs, JOURNAL) if "/entries/" in key] == entries


async def test_f47_a_node_takes_writes_again_once_the_newest_copy_is_back(node: Node) -> None:
    """What was found is asked for again: the operator puts it right under the running node."""
    registry, watch = node.registry, _watch(node.registry)
    await watch.look()
    await database_of(registry.settings).fetch("CREATE TABLE kept AS SELECT * FROM outbox")
    await database_of(registry.settings).fetch(
        "DELETE FROM outbox WHERE id > (SELECT min(id) + 3 FROM outbox)"
    )
    found = await watch.look()
    assert (found is not None, await node.push("refused")) == (True, [405])

    await database_of(registry.settings).fetch(
        "INSERT INTO outbox OVERRIDING SYSTEM VALUE SELECT * FROM kept ON CONFLICT DO NOTHING"
    )

    assert await watch.look() is None
    assert await node.push("taken") == [201]
    assert registry.services.metrics.database_mismatch._value.get() == 0


async def test_f47_another_registrys_database_is_told_from_an_older_copy(node: Node) -> None:
    """However much it holds: nothing is written under the name of the first one, and the remedy is to put that back."""
    registry, watch, database = node.registry, _watch(node.registry), database_of(node.registry.settings)
    mine = await database.value("SELECT incarnation FROM instance")
    await database.fetch(f"UPDATE instance SET incarnation = '{'0' * 32}'")

    found = await watch.look()

    assert found is not None
    assert "this is database 000" in found.reason
    assert f"it was {mine} when this process began" in found.reason
    assert "put the right database in place" in found.remedy
    assert await node.push("refused") == [405]
    await database.fetch(f"UPDATE instance SET incarnation = '{mine}'")
    assert await watch.look() is None
    assert await node.push("taken") == [201]
    assert registry.services.metrics.database_mismatch._value.get() == 0


async def test_f47_what_becomes_suspicious_during_a_look_is_looked_into_by_the_next(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever found something while the store was being asked may have found it behind that question."""
    watch, asked = _watch(node.registry), list[str]()

    async def find_and_suspect(*about: Any, **compared: Any) -> Any:
        asked.append("once")
        if len(asked) == 1:
            watch.suspect()
        return await find_discrepancy(*about, **compared)

    monkeypatch.setattr(store_watch, "find_discrepancy", find_and_suspect)
    watch.suspect()
    for _ in range(3):
        await watch.look()

    assert len(asked) == 2


async def test_f47_the_store_is_asked_only_where_the_database_speaks_for_it(node: Node) -> None:
    """Three statements per look as long as facts get their segments; a fact without one for long is looked into."""
    stores, counts, now = node.registry.stores, node.registry.counts, [0.0]
    watch = StoreWatch(stores.metadata, stores.blobs, clock=lambda: now[0])
    await node.push("waits")
    counts.reset()
    for _ in range(3):
        now[0] += 4
        await watch.look()
    quiet = list(counts.statements)
    now[0] += 15
    await watch.look()

    assert quiet == ["orphans.last_fact", "outbox.first_unjournalled", "instance.incarnation"] * 3
    assert "outbox.written" in counts.statements


async def test_f18_a_process_ends_though_what_it_watches_gives_no_answer(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database or store that hangs is not asked a last time: that would take all of the time there is to end in."""
    asked = list[str]()

    async def hang(_: StoreWatch) -> None:
        asked.append("look")
        await asyncio.Event().wait()

    monkeypatch.setattr(edges, "_LOOK_SECONDS", 0.0)
    async with asyncio.timeout(60), edges.open_edges(node.registry.settings):
        monkeypatch.setattr(StoreWatch, "look", hang)
        while not asked:  # noqa: ASYNC110  # what is called is not ours
            await asyncio.sleep(0.01)

    assert asked == ["look"]


async def test_f47_probes_that_are_asked_at_the_same_time_open_the_stores_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that nobody knows any more nobody would close the file."""
    settings, opened = await compacted_registry(tmp_path / "data"), list[object]()

    @contextlib.asynccontextmanager
    async def noted_stores(settings: Settings) -> AsyncIterator[Stores]:
        async with open_stores(settings) as stores:
            opened.append(stores)
            yield stores

    monkeypatch.setattr(bootstrap_probes, "open_served_stores", noted_stores)
    probes = StoreProbes(settings)

    answers = await asyncio.gather(probes.read_ready(), probes.write_ready(), probes.read_ready())

    await probes.aclose()
    assert ([answer.ok for answer in answers], len(opened)) == ([True, True, True], 1)


async def test_f47_a_sqlite_file_that_was_replaced_under_a_node_is_noticed_by_the_next_look(
    tmp_path: Path,
) -> None:
    """What is pushed goes into the file that nobody opens again: pushes get 405, the worker writes no segment."""
    settings = await compacted_registry(tmp_path / "data")
    path = metadata_path(settings)
    older = Path(shutil.copy(path, tmp_path / "older.db"))
    probes = StoreProbes(settings)
    async with in_process_registry(settings) as registry:
        watch = _watch(registry)
        assert (await watch.look(), (await probes.write_ready()).ok) == (None, True)

        await put(registry.client, "waits", image(annotations={"n": "waits"}))
        former = path.stat()
        await asyncio.to_thread(older.replace, path)

        found = await watch.look()
        reply = await put(registry.client, "new", image(annotations={"n": "new"}))
        with pytest.raises(StorageUnavailableError, match="was replaced or removed under this process"):
            await compact(registry.stores)
        ready = await probes.write_ready()
    await probes.aclose()

    assert found is not None
    assert (reply.status, "start this node again" in reply.body.decode()) == (405, True)
    assert (ready.ok, f"{path} was replaced or removed" in ready.detail) == (False, True)
    # The former file's log does not go on in this one: it is an older copy, and said to be one.
    assert [file.name for file in path.parent.glob("*-wal*")] == [
        f"{path.name}-wal.of-{former.st_size}-{former.st_mtime_ns}"
    ]
    async with open_stores(settings) as stores:
        mismatch = await find_mismatch(stores)
    assert mismatch is not None
    assert "rebuild --catch-up" in mismatch.remedy
