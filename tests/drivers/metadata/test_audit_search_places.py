"""Searches of the audit log hold nothing that others wait for, however long they take and however many are sent."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec
import pytest

from entrepot.audit.errors import AuditSearchesBusyError
from entrepot.audit.queries import AuditLog
from entrepot.audit.search_turns import SearchTurns
from entrepot.auth.grants import SystemGrant
from entrepot.auth.system_actions import ListAuditLog
from entrepot.metadata.audit_store import MOST_SEARCHES, AuditFilter, AuditPageQuery
from entrepot.metadata.errors import MetadataTimeoutError, StatementTooLongError
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.sqlite_searches import SqliteSearches
from entrepot.metadata.sql.statements import Statement, render
from tests.asgi.identity import KeptNotes
from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.drivers.metadata.material import REPOSITORY, push_manifest
from tests.running.audit_material import ALICE, pull_record

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import RenderedStatement, Row, Value
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)

_GUARD_SECONDS: Final = 60
_BY_BOB: Final = AuditPageQuery(AuditFilter(user="bob"), 10)
_ENDLESS: Final = Statement(
    "tests.endless", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
)
_WAITING: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'entrepot' AND wait_event_type = 'Lock'
"""


def _grant(number: int) -> SystemGrant[ListAuditLog]:
    return SystemGrant(ListAuditLog, msgspec.structs.replace(ALICE, subject=f"{number:032}"))


async def _until_waiting(database: RawDatabase, number: int) -> None:
    """Look on other connections: a transaction sees those that there were at its first look."""
    while await database.value(_WAITING) != number:
        pass


async def _read_what_else_there_is(metadata: Metadata) -> None:
    """On more threads or connections than searches leave, and what is quick of the log itself."""
    async with asyncio.timeout(_GUARD_SECONDS):
        for _ in range(3):
            listings = [metadata.tags.list_names(REPOSITORY, "", 10) for _ in range(6)]
            await asyncio.gather(*listings, metadata.audit.last_id(), metadata.audit.unsealed_count())


@on_sqlite
async def test_searches_take_no_thread_of_other_listings_of_sqlite_i12(
    metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = threading.Semaphore(0), threading.Event()
    fetch = SqliteSearches._fetch

    def fetch_later(
        searches: SqliteSearches,
        rendered: RenderedStatement,
        arguments: list[Value],
        given_up: threading.Event,
    ) -> list[Row]:
        begun.release()
        assert goes_on.wait(_GUARD_SECONDS)
        return fetch(searches, rendered, arguments, given_up)

    monkeypatch.setattr(SqliteSearches, "_fetch", fetch_later)
    await push_manifest(metadata)
    await metadata.write(lambda tx: tx.audit.append(pull_record()))
    turns = SearchTurns(patience_seconds=0.05)
    log = AuditLog(metadata, KeptNotes(), turns)
    try:
        searches = [
            asyncio.ensure_future(log.list(_grant(number), _BY_BOB)) for number in range(MOST_SEARCHES)
        ]
        for _ in searches:
            assert await asyncio.to_thread(begun.acquire, timeout=_GUARD_SECONDS)

        await _read_what_else_there_is(metadata)
        with pytest.raises(AuditSearchesBusyError):
            await log.list(_grant(9), _BY_BOB)
        with pytest.raises(AuditSearchesBusyError):
            await log.count(_grant(9), AuditFilter())
    finally:
        goes_on.set()
    assert [page.entries for page in await asyncio.gather(*searches)] == [()] * MOST_SEARCHES


@on_postgresql
async def test_searches_hold_two_connections_at_most_i12(database: RawDatabase) -> None:
    """Whatever they wait for, as here for the table."""
    metadata = await open_metadata(database.url, 4, float(_GUARD_SECONDS))
    await push_manifest(metadata)
    log = AuditLog(metadata, KeptNotes(), SearchTurns.beside_others(4))
    holder = await asyncpg.connect(database.url)
    try:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("LOCK TABLE audit_records IN ACCESS EXCLUSIVE MODE")
        searches = [asyncio.ensure_future(log.list(_grant(number // 5), _BY_BOB)) for number in range(50)]
        async with asyncio.timeout(_GUARD_SECONDS):
            await _until_waiting(database, MOST_SEARCHES)
            for _ in range(20):
                await asyncio.gather(*(metadata.tags.list_names(REPOSITORY, "", 10) for _ in range(6)))
        assert await database.value(_WAITING) == MOST_SEARCHES
        await transaction.rollback()
        assert len(await asyncio.gather(*searches)) == 50
    finally:
        await holder.close()
        await metadata.aclose()


@on_sqlite
async def test_a_search_that_is_given_up_ends_on_its_thread_i12(
    database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its own time is not over: nobody waits for it."""
    searches = SqliteSearches(database.path, 2.0 * _GUARD_SECONDS, None)
    monkeypatch.setitem(searches._statements, _ENDLESS.name, render(_ENDLESS, "sqlite"))
    begun = threading.Event()
    fetch = SqliteSearches._fetch

    def fetch_noting(
        searches: SqliteSearches,
        rendered: RenderedStatement,
        arguments: list[Value],
        given_up: threading.Event,
    ) -> list[Row]:
        begun.set()
        return fetch(searches, rendered, arguments, given_up)

    monkeypatch.setattr(SqliteSearches, "_fetch", fetch_noting)
    search = asyncio.ensure_future(searches.fetch_rows(_ENDLESS))
    assert await asyncio.to_thread(begun.wait, _GUARD_SECONDS)
    search.cancel()
    await asyncio.wait((search,))

    async with asyncio.timeout(_GUARD_SECONDS):
        connections = await asyncio.to_thread(searches.stop)  # which waits for the thread
    assert search.cancelled()
    for connection in connections:
        connection.close()


@on_postgresql
async def test_a_search_that_is_given_up_ends_in_the_database_i12(database: RawDatabase) -> None:
    metadata = await open_metadata(database.url, 1, float(_GUARD_SECONDS))
    holder = await asyncpg.connect(database.url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE audit_records IN ACCESS EXCLUSIVE MODE")
            search = asyncio.ensure_future(metadata.audit.page(_BY_BOB))
            async with asyncio.timeout(_GUARD_SECONDS):
                await _until_waiting(database, 1)
                search.cancel()
                await asyncio.wait((search,))
                await _until_waiting(database, 0)
        assert search.cancelled()
        assert await metadata.audit.page(_BY_BOB) == []  # on the only connection
    finally:
        await holder.close()
        await metadata.aclose()


async def test_only_a_search_that_ran_for_too_long_is_told_so(database: RawDatabase) -> None:
    """Not one that waited, as for the only connection."""
    metadata = await open_metadata(database.url, 1, 1.0)
    reader: Any = metadata.audit
    searches: Any = reader._searches
    try:
        if database.is_sqlite:
            searches._statements[_ENDLESS.name] = render(_ENDLESS, "sqlite")
        else:
            searches._statements = {**searches._statements, _ENDLESS.name: render(_ENDLESS, "postgresql")}
        with pytest.raises(StatementTooLongError):
            await searches.fetch_rows(_ENDLESS)
        if not database.is_sqlite:
            async with searches._pool.held(60):
                with pytest.raises(MetadataTimeoutError) as waited:
                    await metadata.audit.page(_BY_BOB)
            assert not isinstance(waited.value, StatementTooLongError)
        assert list(await metadata.audit.page(_BY_BOB)) == []
    finally:
        await metadata.aclose()
