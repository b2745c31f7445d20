"""A page of a list costs the same however long the list is: counted in steps of the engine, not in seconds."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest
import pytest_asyncio

from entrepot.metadata.sql import catalog, referrers, tags
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.statements import render
from tests.drivers.metadata.explained import explain, node_types, touched_pages
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.drivers.metadata.seeded_lists import (
    RARE_TYPE,
    SUBJECT,
    USUAL_TYPE,
    seed_referrers,
    seed_repositories,
    seed_tags,
    seeded_digest,
    take_statistics,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.metadata.sql.statements import Statement, Value
    from tests.drivers.postgres_server import PostgresServer

_SHORT: Final = "list1"
_LONG: Final = "list2"
_SHORT_LENGTH: Final = 300
_LONG_LENGTH: Final = 20_000
_PAGE: Final = 101
_SAME: Final = 1.25
"""Trees of more rows are a level deeper."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """A listing whose cost is looked at, with the values that ask the same of the short and of the long list."""

    statement: Statement
    values: Mapping[str, Value]

    def values_for(self, repository: str) -> dict[str, Value]:
        return {**self.values, "repository": repository}


_REFERRERS: Final[dict[str, Value]] = {
    "subject": str(SUBJECT),
    "list_tag": f"sha256-{SUBJECT.hex}",
    "after": "",
    "rows": _PAGE,
    "max_bytes": 4 * 1024 * 1024,
}
_LISTINGS: Final = {
    "tags": _Listing(tags.LIST_NAMES, {"after": "", "rows": _PAGE}),
    "referrers": _Listing(referrers.LIST, _REFERRERS),
    "referrers of a type": _Listing(referrers.LIST_OF_TYPE, {**_REFERRERS, "artifact_type": USUAL_TYPE}),
    "referrers from the middle": _Listing(referrers.LIST, {**_REFERRERS, "after": seeded_digest(30)}),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sqlite_lists(tmp_path_factory: pytest.TempPathFactory) -> RawDatabase:
    """A file with a short and a long list of each kind."""
    return await _seeded(f"sqlite://{tmp_path_factory.mktemp('lists')}/metadata.db")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres_lists(postgres_server: PostgresServer) -> RawDatabase:
    """A PostgreSQL database with a short and a long list of each kind."""
    return await _seeded(postgres_server.create_database())


async def _seeded(url: str) -> RawDatabase:
    database = RawDatabase(url)
    await initialise_if_empty(url, unheard)
    await seed_repositories(database, "list", 2000)
    for repository, length in ((_SHORT, _SHORT_LENGTH), (_LONG, _LONG_LENGTH)):
        await seed_referrers(database, repository, length // 2, length // 4)
        await seed_tags(database, repository, length)
    await take_statistics(database)
    return database


def _sqlite_steps(database: RawDatabase, statement: Statement, values: Mapping[str, Value]) -> int:
    """Return how many instructions SQLite's machine took for a statement."""
    rendered = render(statement, "sqlite")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(sqlite3.connect(database.path)) as connection:
        connection.set_progress_handler(count, 1)
        rows = connection.execute(rendered.sql, rendered.arguments(values)).fetchall()
    assert len(rows) >= _PAGE
    return steps


async def _explained(database: RawDatabase, statement: Statement, values: Mapping[str, Value]) -> Any:
    """Run a statement on PostgreSQL with a plan for any values, and return the plan with its counts."""
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        return await explain(connection, statement, values)
    finally:
        await connection.close()


@pytest.mark.parametrize("kind", _LISTINGS)
def test_s37_a_page_costs_sqlite_the_same_of_a_short_and_of_a_long_list(
    sqlite_lists: RawDatabase, kind: str
) -> None:
    listing = _LISTINGS[kind]
    short, long = (
        _sqlite_steps(sqlite_lists, listing.statement, listing.values_for(repository))
        for repository in (_SHORT, _LONG)
    )

    assert long <= short * _SAME


@pytest.mark.parametrize("kind", _LISTINGS)
async def test_s37_a_page_costs_postgresql_the_same_of_a_short_and_of_a_long_list(
    postgres_lists: RawDatabase, kind: str
) -> None:
    """In pages of the database that are touched."""
    listing = _LISTINGS[kind]
    touched: list[int] = []
    for repository in (_SHORT, _LONG):
        plan = await _explained(postgres_lists, listing.statement, listing.values_for(repository))
        touched.append(touched_pages(plan))

    assert touched[1] <= touched[0] * _SAME


@pytest.mark.parametrize("kind", _LISTINGS)
async def test_postgresql_neither_sorts_nor_scans_nor_hashes_for_a_page(
    postgres_lists: RawDatabase, kind: str
) -> None:
    """It merges two indexes, and looks up by key what stands on the page."""
    listing = _LISTINGS[kind]
    plan = await _explained(postgres_lists, listing.statement, listing.values_for(_LONG))

    kinds = set(node_types(plan))
    assert not {kind for kind in kinds if re.search(r"Sort|Seq Scan|Hash|Bitmap|Materialize", kind)}, kinds


def test_sqlite_reads_a_page_of_referrers_from_indexes(sqlite_lists: RawDatabase) -> None:
    """Of manifests and references nothing is scanned; what is sorted is a page, not the list."""
    for statement, index in (
        (referrers.LIST, "manifests_referrers"),
        (referrers.LIST_OF_TYPE, "manifests_referrers_by_type"),
    ):
        rendered = render(statement, "sqlite")
        with closing(sqlite3.connect(sqlite_lists.path)) as connection:
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN {rendered.sql}", [None] * len(rendered.parameters)
            ).fetchall()
        steps = [step for *_, step in plan]
        assert any(step.startswith(f"SEARCH m USING INDEX {index} ") for step in steps), steps
        assert any(
            step.startswith("SEARCH e USING COVERING INDEX manifest_references_listed ") for step in steps
        ), steps
        tables = [
            step for step in steps if step.startswith("SCAN") and not step.startswith(("SCAN page", "SCAN ("))
        ]
        assert tables == []


async def test_the_catalog_is_read_in_the_order_of_its_index(
    sqlite_lists: RawDatabase, postgres_lists: RawDatabase
) -> None:
    rendered = render(catalog.LIST_NAMES, "sqlite")
    with closing(sqlite3.connect(sqlite_lists.path)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {rendered.sql}", ["", 10]).fetchall()
    assert [step for *_, step in plan] == ["SEARCH r USING INDEX repositories_name (name>?)"]

    server = await asyncpg.connect(postgres_lists.url)
    await server.execute("SET enable_seqscan = off")
    lines = await server.fetch(f"EXPLAIN {render(catalog.LIST_NAMES, 'postgresql').sql}", "", 10)
    await server.close()
    text = "\n".join(line["QUERY PLAN"] for line in lines)
    assert "Index Only Scan using repositories_name" in text
    assert "Sort" not in text


async def test_s37_what_few_of_a_list_of_clients_have_is_found_within_it(
    sqlite_lists: RawDatabase, postgres_lists: RawDatabase
) -> None:
    """The one page that is not flat: a rare type on a list under a tag. One list is all it reads, four MiB at most."""
    values: dict[str, Value] = {**_REFERRERS, "artifact_type": RARE_TYPE, "repository": _LONG, "rows": 1001}
    rendered = render(referrers.LIST_OF_TYPE, "sqlite")
    with closing(sqlite3.connect(sqlite_lists.path)) as connection:
        found = connection.execute(rendered.sql, rendered.arguments(values)).fetchall()
    plan = await _explained(postgres_lists, referrers.LIST_OF_TYPE, values)

    assert len({row[0] for row in found if row[0] is not None}) == _LONG_LENGTH * 3 // 4 // 100
    assert plan["Actual Rows"] == len(found)
