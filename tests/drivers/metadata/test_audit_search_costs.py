"""What a search of the audit log looks at: of a project nothing but its own records, and never the whole table.

Fifty records of one project and six thousand of a second stand at the beginning of a log that is a third one's.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio

from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery
from entrepot.metadata.sql.audit_queries import LAST_ID, OLDER, SEQUENCES_BETWEEN, SqlAuditReader
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.postgres import PLAN_FOR_VALUES, PostgresMetadata
from entrepot.metadata.sql.statements import render
from tests.drivers.metadata.explained import explain, index_names, touched_pages
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.drivers.metadata.seeded_lists import take_statistics
from tests.running.audit_material import add_team

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.metadata.sql.statements import Row, Statement, Value
    from entrepot.metadata.store import Metadata
    from tests.drivers.postgres_server import PostgresServer

pytestmark = pytest.mark.asyncio(loop_scope="module")  # in which the stores were opened

_RECORDS: Final = 40_000
_OF_BLUE: Final = 50
_UP_TO_GREEN: Final = 6_000
_SEEDED: Final = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {records})
INSERT INTO audit_records (record_id, at, action, outcome, subject, user_name, address, project, object_kind,
    object_name, request_id, body, sequence, chain_hash, project_id)
SELECT 'record-' || i, 1000000 + i, CASE WHEN i % 1000 = 7 THEN 'tag.delete' ELSE 'manifest.pull' END,
    CASE WHEN i % 2000 = 7 THEN 'failure' ELSE 'success' END, 'subject', CASE WHEN i <= 25 THEN 'eve' ELSE 'dev' END,
    CASE WHEN i <= 25 THEN '192.0.2.9' ELSE '192.0.2.1' END,
    CASE WHEN i <= {blue} THEN 'blue' WHEN i <= {green} THEN 'green' ELSE 'red' END,
    'repository', CASE WHEN i <= {blue} THEN 'blue/app' ELSE 'red/app' END, 'request-' || i, {body}, i, 'link',
    CASE WHEN i <= {blue} THEN {blue_id} WHEN i <= {green} THEN {green_id} ELSE {red_id} END FROM n
"""
_FEW_PAGES: Final = 150
"""The table has twenty times as many."""

_IN_BLUE: Final = {
    "all": AuditFilter(),
    "user of the other project": AuditFilter(user="dev"),
    "address of the other project": AuditFilter(address="192.0.2.1"),
    "object of the other project": AuditFilter(object_name="red/app"),
    "act": AuditFilter(action="tag.delete"),
    "failures": AuditFilter(outcome="failure"),
    "time": AuditFilter(since=1_000_010, until=1_000_030),
    "part": AuditFilter(user_part="dev"),
    "several": AuditFilter(users=("dev", "eve"), objects=("red/app", "blue/app")),
}
_IN_RED: Final = {
    "user": (AuditFilter(user="eve"), AuditFilter(user="nobody")),
    "address": (AuditFilter(address="192.0.2.9"), AuditFilter(address="192.0.2.8")),
    "object": (AuditFilter(object_name="blue/app"), AuditFilter(object_name="blue/none")),
}
"""By what there is in the other project alone, and by what there is nowhere."""
_IN_ALL: Final = {
    "all": AuditFilter(),
    "rare user": AuditFilter(user="eve"),
    "no such user": AuditFilter(user="nobody"),
    "usual user": AuditFilter(user="dev"),
    "rare address": AuditFilter(address="192.0.2.9"),
    "no such address": AuditFilter(address="192.0.2.8"),
    "no such object": AuditFilter(object_name="red/none"),
    "project": AuditFilter(project="blue"),
    "no such act": AuditFilter(action="user.delete"),
    "rare act": AuditFilter(action="tag.delete"),
    "failures": AuditFilter(outcome="failure"),
    "time": AuditFilter(since=1_000_010, until=1_000_030, user_part="eve"),
    "user and time": AuditFilter(user="dev", since=1_020_000, until=1_020_100),
}


class _Watched:
    """Implements `ReadExecutor`: what was asked for, with its values."""

    def __init__(self, metadata: Metadata) -> None:
        reader: Any = metadata.audit
        self._executor: Any = reader._searches
        self.asked: list[tuple[Statement, dict[str, Value]]] = []

    async def fetch_row(self, statement: Statement, **named: Value) -> Row | None:
        """Return what the product does."""
        rows = await self.fetch_rows(statement, **named)
        return rows[0] if rows else None

    async def fetch_rows(self, statement: Statement, **named: Value) -> list[Row]:
        """Return what the product does."""
        self.asked.append((statement, named))
        rows: list[Row] = await self._executor.fetch_rows(statement, **named)
        return rows


class _Log:
    """A long log, and what it costs to search it."""

    def __init__(self, database: RawDatabase, metadata: Metadata, numbers: dict[str, int]) -> None:
        self.database = database
        self.metadata = metadata
        self._numbers = numbers

    def within(self, project: str, wanted: AuditFilter) -> AuditFilter:
        """Return what a project's lead searches."""
        return replace(wanted, project=project, project_id=self._numbers[project])

    async def search(self, wanted: AuditFilter) -> list[tuple[Statement, dict[str, Value]]]:
        """Read the first page and the total, and return by which statements."""
        watched = _Watched(self.metadata)
        reader = SqlAuditReader(watched, watched)
        await reader.page(AuditPageQuery(wanted, 11))
        await reader.count(wanted)
        return watched.asked

    async def plans(self, wanted: AuditFilter) -> list[Any]:
        """Return by which plans PostgreSQL searches, on a connection of the product's."""
        asked = await self.search(wanted)
        assert isinstance(self.metadata, PostgresMetadata)
        async with self.metadata._pool.held(60) as connection, connection.transaction():
            await connection.execute(PLAN_FOR_VALUES)
            return [await explain(connection, statement, values) for statement, values in asked]

    async def steps(self, wanted: AuditFilter) -> int:
        """Return how many instructions SQLite's machine takes for a search."""
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        asked = await self.search(wanted)
        with closing(sqlite3.connect(self.database.path)) as connection:
            connection.set_progress_handler(count, 1)
            for statement, values in asked:
                rendered = render(statement, "sqlite")
                connection.execute(rendered.sql, rendered.arguments(values)).fetchall()
        return steps


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sqlite_log(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[_Log]:
    """A file with a long log."""
    log = await _seeded(f"sqlite://{tmp_path_factory.mktemp('log')}/metadata.db")
    yield log
    await log.metadata.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres_log(postgres_server: PostgresServer) -> AsyncIterator[_Log]:
    """A PostgreSQL database with a long log."""
    log = await _seeded(postgres_server.create_database())
    yield log
    await log.metadata.aclose()


async def _seeded(url: str) -> _Log:
    database = RawDatabase(url)
    await initialise_if_empty(url, unheard)
    metadata = await open_metadata(url, 1, 60.0)
    numbers = {name: await add_team(metadata, name[0], name) for name in ("blue", "green", "red")}
    body = "zeroblob(300)" if database.is_sqlite else "decode(repeat('00', 300), 'hex')"
    values = {"records": _RECORDS, "blue": _OF_BLUE, "green": _UP_TO_GREEN, "body": body}
    await database.fetch(
        _SEEDED.format(**values, **{f"{name}_id": number for name, number in numbers.items()})
    )
    await take_statistics(database)
    return _Log(database, metadata, numbers)


@pytest.mark.parametrize("kind", _IN_BLUE)
async def test_a_search_in_a_small_project_touches_few_pages_of_postgresql_i12(
    postgres_log: _Log, kind: str
) -> None:
    plans = await postgres_log.plans(postgres_log.within("blue", _IN_BLUE[kind]))

    assert sum(map(touched_pages, plans)) <= _FEW_PAGES
    assert set().union(*map(index_names, plans)) <= {"audit_records_project", "audit_records_at"}


async def test_the_log_of_a_project_that_rests_is_found_behind_those_of_others_i12(
    postgres_log: _Log,
) -> None:
    """It was busy once; nothing of what came since is looked at."""
    _, plan, *_ = await postgres_log.plans(postgres_log.within("green", AuditFilter()))

    assert touched_pages(plan) <= _FEW_PAGES
    assert index_names(plan) == {"audit_records_project"}


@pytest.mark.parametrize("kind", _IN_ALL)
async def test_a_search_of_the_whole_log_touches_few_pages_of_postgresql_i12(
    postgres_log: _Log, kind: str
) -> None:
    """But for what most records have, whose total looks at each of them."""
    plans = await postgres_log.plans(_IN_ALL[kind])
    if kind == "usual user":
        plans.pop()

    assert sum(map(touched_pages, plans)) <= _FEW_PAGES


@pytest.mark.parametrize("kind", _IN_RED)
async def test_the_time_of_a_search_tells_nothing_of_another_project_s19(
    postgres_log: _Log, sqlite_log: _Log, kind: str
) -> None:
    """In a large project, where it would be quicker to look at the few records elsewhere and find that none is its."""
    elsewhere, nowhere = [
        await postgres_log.plans(postgres_log.within("red", wanted)) for wanted in _IN_RED[kind]
    ]
    steps = [await sqlite_log.steps(sqlite_log.within("red", wanted)) for wanted in _IN_RED[kind]]

    assert [sum(map(touched_pages, plans)) for plans in (elsewhere, nowhere)] == pytest.approx(
        [sum(map(touched_pages, nowhere))] * 2, abs=8
    )
    assert set().union(*map(index_names, elsewhere + nowhere)) <= {
        "audit_records_project",
        "audit_records_pkey",
    }
    assert steps[0] == steps[1]


@pytest.mark.parametrize("kind", _IN_BLUE)
async def test_a_search_in_a_small_project_takes_sqlite_few_steps_i12(sqlite_log: _Log, kind: str) -> None:
    assert await sqlite_log.steps(sqlite_log.within("blue", _IN_BLUE[kind])) <= 200 * _OF_BLUE


async def test_searches_are_planned_for_their_values_and_nothing_else_is(postgres_log: _Log) -> None:
    """By the product, on its only connection."""
    metadata = postgres_log.metadata
    assert isinstance(metadata, PostgresMetadata)
    for _ in range(7):
        await metadata.audit.page(AuditPageQuery(postgres_log.within("blue", AuditFilter(user="dev")), 10))
        await metadata.audit.last_id()
    async with metadata._pool.held(60) as connection:
        mode = await connection.fetchval("SHOW plan_cache_mode")
        planned, others = [
            await connection.fetchrow(
                "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement = $1",
                render(statement, "postgresql").sql,
            )
            for statement in (OLDER["project"], LAST_ID)
        ]

    assert mode == "force_generic_plan"
    assert planned is not None
    assert others is not None
    assert planned["custom_plans"] >= 7
    assert planned["generic_plans"] == others["custom_plans"] == 0


async def test_an_export_of_a_recent_time_is_not_looked_for_from_the_beginning_of_the_log_i12(
    postgres_log: _Log,
) -> None:
    """By the plan for any values, as all that is no search."""
    metadata = postgres_log.metadata
    assert isinstance(metadata, PostgresMetadata)
    values = {"since": 1_000_000 + _RECORDS - 100, "until": 1_000_000 + _RECORDS, "rows": _RECORDS}
    async with metadata._pool.held(60) as connection:
        plan = await explain(connection, SEQUENCES_BETWEEN, values)

    assert touched_pages(plan) <= _FEW_PAGES
    assert index_names(plan) == {"audit_records_at"}
