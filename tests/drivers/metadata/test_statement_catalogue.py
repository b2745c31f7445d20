"""Every statement of the catalogue is understood by both engines and finds its rows through an index."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import asyncpg
import pytest
import pytest_asyncio

from entrepot.metadata.sql.catalogue import (
    POINT_READS,
    PULL_READS,
    SHORT_LISTINGS,
    STATEMENTS,
    render_statement_catalogue,
)
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.postgres_gathering import render_gathered
from entrepot.metadata.sql.statements import Dialect, Statement, render
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.drivers.metadata.seeded_rows import seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.drivers.postgres_server import PostgresServer

_SCANS_ALLOWED: Final = {
    # These walk a partial index that holds nothing but their own rows.
    "outbox.unjournalled": "outbox_unjournalled",
    "outbox.unjournalled_count": "outbox_unjournalled",
    "outbox.first_unjournalled": "outbox_unjournalled",
    "outbox.ahead": "outbox_unjournalled",
    "outbox.backlog": "outbox_unjournalled",
    "outbox.redate": "outbox_unjournalled",
    # The roles of one subject, found through indexes, set beside its other facts.
    "standings.in_project_by_name": "SCAN h",
    "standings.in_project_by_number": "SCAN h",
    "standings.on_system": "SCAN h",
    # As above: this index holds roles on the system only.
    "role_assignments.list_system": "role_assignments_system",
    "role_assignments.count_system": "role_assignments_system",
    "audit_chain.unsealed": "audit_records_unsealed",
    "audit_records.unsealed_count": "audit_records_unsealed",
    # As the first two: addresses with more than ASCII.
    "taken_identities.addresses": "users_email_not_ascii",
}
_CASE_IS_KNOWN: Final = {
    "diagnosis.stopped_robots": "public ids are hexadecimal digits, or begin with a word that the registry writes",
}
"""Statements that compare by LIKE without lowering their column, and why the engines answer alike all the same."""
_ONE_ROW_TABLE: Final = "instance"
_ONE_OF_MANY: Final = re.compile(r"FROM (outbox|audit_records)\b[^()]* LIMIT 1\b")
_LISTINGS: Final = ("tags.list_names", "outbox.unjournalled")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> RawDatabase:
    """A file full of rows."""
    return await _seeded(f"sqlite://{tmp_path_factory.mktemp('seeded')}/metadata.db")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres_database(postgres_server: PostgresServer) -> RawDatabase:
    """A PostgreSQL database full of rows."""
    return await _seeded(postgres_server.create_database())


async def _seeded(url: str) -> RawDatabase:
    database = RawDatabase(url)
    await initialise_if_empty(url, unheard)
    await seed(database)
    return database


def test_every_statement_searches_indexes_on_sqlite(sqlite_database: RawDatabase) -> None:
    faults: list[str] = []
    with closing(sqlite3.connect(sqlite_database.path)) as connection:
        for statement in STATEMENTS:
            rendered = render(statement, "sqlite")
            explained = connection.execute(
                f"EXPLAIN QUERY PLAN {rendered.sql}", [None] * len(rendered.parameters)
            )
            steps = [step for *_, step in explained.fetchall()]
            faults += [f"{statement.name}: {step}" for step in steps if _scans(statement, step)]

    assert faults == []


@pytest.mark.parametrize(
    ("planner", "statements"),
    [
        # Left to itself, the planner takes the index for whatever a pull waits for.
        (
            "on",
            [
                statement
                for statement in STATEMENTS
                if statement in POINT_READS or statement.name in _LISTINGS
            ],
        ),
        # It may read a small table as a whole where many rows are wanted, but must be able to do without.
        ("off", STATEMENTS),
    ],
)
async def test_every_statement_searches_indexes_on_postgresql(
    postgres_database: RawDatabase, planner: str, statements: Sequence[Statement]
) -> None:
    faults: list[str] = []
    connection = await asyncpg.connect(postgres_database.url)
    await connection.execute(f"SET plan_cache_mode = force_generic_plan; SET enable_seqscan = {planner}")
    for statement in statements:
        rendered = render(statement, "postgresql")
        for step in await _steps(connection, rendered.sql, len(rendered.parameters)):
            table = re.search(r"Seq Scan on (\w+)", step)
            if table is not None and table[1] != _ONE_ROW_TABLE:
                faults.append(f"{statement.name}: {step}")
    await connection.close()

    assert faults == []


async def test_gathered_point_reads_are_planned_as_they_are_alone_on_postgresql(
    postgres_database: RawDatabase,
) -> None:
    """By the same indexes, for one set of arguments after the other: no table is read as a whole to be joined."""
    connection = await asyncpg.connect(postgres_database.url)
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    for statement in PULL_READS:
        rendered = render(statement, "postgresql")
        alone = await _steps(connection, rendered.sql, len(rendered.parameters))
        together = await _steps(connection, render_gathered(statement), len(rendered.parameters))
        assert _accesses(together) == _accesses(alone)
        assert not [step for step in together if "Hash" in step or "Merge" in step]
    await connection.close()


async def _steps(connection: asyncpg.Connection[asyncpg.Record], sql: str, parameter_count: int) -> list[str]:
    """Return the lines of a prepared statement's plan."""
    await connection.execute(f"PREPARE checked AS {sql}")
    nothing = ", ".join(["NULL"] * parameter_count)
    plan = await connection.fetch(f"EXPLAIN EXECUTE checked{f'({nothing})' if nothing else ''}")
    await connection.execute("DEALLOCATE checked")
    return [step.strip() for (step,) in plan]


def _accesses(steps: Sequence[str]) -> list[str]:
    """Return how which tables are read."""
    found = (re.search(r"((?:Seq|Index|Index Only|Bitmap \w+) Scan .*?) +\(cost", step) for step in steps)
    return sorted(match[1] for match in found if match is not None)


async def test_a_page_is_read_in_the_order_of_an_index(
    sqlite_database: RawDatabase, postgres_database: RawDatabase
) -> None:
    """No page of a listing sorts what lies behind it."""
    for statement in (statement for statement in STATEMENTS if statement.name in _LISTINGS):
        rendered = render(statement, "sqlite")
        with closing(sqlite3.connect(sqlite_database.path)) as connection:
            steps = connection.execute(
                f"EXPLAIN QUERY PLAN {rendered.sql}", [None] * len(rendered.parameters)
            ).fetchall()
        assert not [step for *_, step in steps if "TEMP B-TREE" in step]
        plan = await postgres_database.fetch(f"EXPLAIN {_with_values(statement)}")
        assert not [step for (step,) in plan if re.search(r"\bSort\b", step)], plan


async def test_one_row_is_found_without_sorting_or_gathering_others_f47(
    postgres_database: RawDatabase,
) -> None:
    """Whoever asks for the first row of a table from which nothing is ever removed gets it from an index, in its order.

    That takes no more than a name: PostgreSQL calls a CASE after the column in its ELSE, and sorts by the CASE then.
    """
    faults: list[str] = []
    connection = await asyncpg.connect(postgres_database.url)
    await connection.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
    for statement in (one for one in STATEMENTS if _ONE_OF_MANY.search(one.sql)):
        rendered = render(statement, "postgresql")
        steps = await _steps(connection, rendered.sql, len(rendered.parameters))
        sorts = [step for step in steps if re.search(r"\b(Sort|Gather)\b", step)]
        faults += [f"{statement.name}: {step}" for step in sorts]
    await connection.close()

    assert faults == []


def test_both_engines_look_past_case_wherever_a_part_of_a_name_is_enough_s25() -> None:
    """SQLite's LIKE does by itself, and PostgreSQL's does not: both compare what was lowered."""
    plain = {
        statement.name
        for statement in STATEMENTS
        if re.search(r"\bLIKE\b", re.sub(r"\blower\([\w.]+\) LIKE :\w+ ESCAPE '!'", "", statement.sql))
    }

    assert plain == set(_CASE_IS_KNOWN)


def _with_values(statement: Statement) -> str:
    """Return a listing with literals in place of its parameters."""
    rendered = render(statement, "postgresql")
    values = {"repository": "'name1'", "after": "'t1'", "rows": "10", "older_than": "0"}
    return re.sub(r"\$(\d+)", lambda match: values[rendered.parameters[int(match[1]) - 1]], rendered.sql)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_rendering_leaves_no_token_and_no_name_behind(dialect: Dialect) -> None:
    for statement in STATEMENTS:
        rendered = render(statement, dialect)
        assert not re.search(r"[{}]|(?<!:):[a-z]", rendered.sql.replace("::", "")), rendered.sql
        assert set(rendered.parameters) == _names(statement)


def _names(statement: Statement) -> set[str]:
    plain = set(re.findall(r"(?<![\w:{]):([a-z_]+)", re.sub(r"\{[^}]*\}", "", statement.sql)))
    return plain | set(re.findall(r"\{\w+:(\w+)\}", statement.sql))


def test_a_repeated_name_is_one_value_under_one_number() -> None:
    statement = Statement("x", "SELECT :b, :a, :b, {now}")

    assert render(statement, "postgresql").sql.startswith("SELECT $1, $2, $1, (extract")
    assert render(statement, "postgresql").arguments({"a": 1, "b": 2}) == [2, 1]
    assert render(statement, "sqlite").sql.startswith("SELECT ?, ?, ?, CAST(")
    assert render(statement, "sqlite").arguments({"a": 1, "b": 2}) == [2, 1, 2]


def test_names_are_unique_and_what_runs_on_the_event_loop_is_in_the_catalogue() -> None:
    names = [statement.name for statement in STATEMENTS]

    assert len(names) == len(set(names))
    assert {*POINT_READS, *SHORT_LISTINGS} <= set(STATEMENTS)


def test_the_documentation_shows_every_statement() -> None:
    page = render_statement_catalogue()

    assert re.findall(r"^## `(.+)`$", page, re.MULTILINE) == [statement.name for statement in STATEMENTS]
    assert page.count("```sql") == len(STATEMENTS)


def _scans(statement: Statement, step: str) -> bool:
    """Tell whether a step of a SQLite plan walks through a whole table."""
    if (
        not step.startswith("SCAN")
        or "VIRTUAL TABLE" in step
        or step.startswith(("SCAN (", "SCAN CONSTANT", "SCAN page", "SCAN asked"))
    ):
        return False
    allowed = _SCANS_ALLOWED.get(statement.name)
    return allowed is None or allowed not in step
