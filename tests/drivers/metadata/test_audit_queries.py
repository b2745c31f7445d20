"""The audit log on both engines: who finds which records."""

from __future__ import annotations

import itertools
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit.errors import AuditSearchTooWideError
from entrepot.audit.queries import AuditLog
from entrepot.audit.sealer import Sealer
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.grants import ProjectGrant, SystemGrant
from entrepot.auth.project_actions import ListLog
from entrepot.auth.system_actions import ListAuditLog
from entrepot.metadata.audit_store import END_OF_TIME, AuditFilter, AuditPageQuery
from entrepot.metadata.sql.audit_queries import COUNT, NEWER, OLDER
from entrepot.metadata.sql.statements import render
from tests.asgi.identity import KeptNotes
from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.running.audit_material import ALICE, BOB, add_team, pull_record

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import RenderedStatement
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def test_users_of_the_host_are_found_apart_from_people_of_their_name(metadata: Metadata) -> None:
    """By the index on names, as before."""
    person = msgspec.structs.replace(ALICE, name="root")
    host = msgspec.structs.replace(ALICE, subject="host:root", name="root", kind="host")
    await metadata.write(
        lambda tx: tx.audit.extend([pull_record(1, person), pull_record(2, host), pull_record(3, BOB)])
    )

    found: dict[str, list[str]] = {}
    for user in ("root", "host:root", "host:bob", "bob"):
        wanted = AuditFilter(user=user)
        rows = await metadata.audit.page(AuditPageQuery(wanted, 10))
        found[user] = [row.subject for row in rows]
        assert await metadata.audit.count(wanted) == len(rows)

    assert found == {
        "root": ["host:root", "a" * 32],
        "host:root": ["host:root"],
        "host:bob": [],
        "bob": ["b" * 32],
    }


async def test_several_users_are_found_of_the_host_as_well(metadata: Metadata) -> None:
    person = msgspec.structs.replace(ALICE, name="root")
    host = msgspec.structs.replace(ALICE, subject="host:root", name="root", kind="host")
    await metadata.write(
        lambda tx: tx.audit.extend([pull_record(1, person), pull_record(2, host), pull_record(3, BOB)])
    )

    rows = await metadata.audit.page(AuditPageQuery(AuditFilter(users=("host:root", "bob")), 10))

    assert [row.subject for row in rows] == ["b" * 32, "host:root"]


async def test_all_terms_hold_of_users_of_the_host_as_well(metadata: Metadata) -> None:
    host = msgspec.structs.replace(ALICE, subject="host:root", name="root", kind="host")
    await metadata.write(lambda tx: tx.audit.extend([pull_record(1, host), pull_record(2, BOB)]))

    found: dict[str, int] = {}
    for subject in ("", "host:root", "b" * 32):
        wanted = AuditFilter(user="host:root", subject=subject)
        found[subject] = len(await metadata.audit.page(AuditPageQuery(wanted, 10)))
        assert await metadata.audit.count(wanted) == found[subject]

    assert found == {"": 1, "host:root": 1, "b" * 32: 0}


async def test_records_of_a_time_are_found_in_whichever_order_they_came_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """A node notes with its own clock, and its records reach the database later than others."""
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(9)]))
    await database.fetch("UPDATE audit_records SET at = 1000 * (1 + (id * 4) % 9)")

    for since, until in ((0, 3001), (3000, 6001), (2000, 2001), (8000, END_OF_TIME), (50_000, END_OF_TIME)):
        wanted = AuditFilter(since=since, until=until)
        expected = await database.fetch(
            f"SELECT id FROM audit_records WHERE at >= {since} AND at < {until} ORDER BY id DESC"
        )
        older = await metadata.audit.page(AuditPageQuery(wanted, 20))
        newer = await metadata.audit.page(AuditPageQuery(wanted, 20, 0, "newer"))

        assert [row.id for row in older] == [row[0] for row in expected]
        assert [row.id for row in newer] == [row[0] for row in reversed(expected)]
        assert await metadata.audit.count(wanted) == len(expected)


async def test_of_more_records_than_numbers_are_looked_at_for_all_are_found(
    metadata: Metadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrepot.metadata.sql.audit_queries._MOST_NEAR", 3)
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(9)]))
    await database.fetch("UPDATE audit_records SET at = 1000 * (1 + (id * 4) % 9)")

    found = await metadata.audit.page(AuditPageQuery(AuditFilter(since=2000, until=9000), 20))

    assert sorted(row.at for row in found) == [1000 * number for number in range(2, 9)]


async def test_a_search_is_counted_up_to_a_bound_and_the_whole_log_exactly(
    metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrepot.metadata.sql.audit_queries.MOST_COUNTED", 4)
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(9)]))

    assert await metadata.audit.count(AuditFilter(user="alice")) == 4
    assert await metadata.audit.count(AuditFilter()) == 9
    newest = (await metadata.audit.page(AuditPageQuery(AuditFilter(), 4)))[-1].id
    await Sealer(metadata).run()
    assert await metadata.audit.count(AuditFilter(newest=newest)) == 6


@on_sqlite
async def test_a_search_by_time_looks_at_no_record_of_another(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Not even at those before, on its way to the first record of all."""
    statements = (*OLDER.values(), *NEWER.values(), *COUNT.values())
    plans = {statement.name: await _plan(database, render(statement, "sqlite")) for statement in statements}

    assert {name for name, plan in plans.items() if "SCAN audit_records" in plan} == set()
    by_number = {name: plan for name, plan in plans.items() if name.endswith("by_none")}
    assert len(by_number) == 3
    for plan in by_number.values():
        assert "SEARCH audit_records USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan
    for index in ("object", "failure"):
        for name, plan in plans.items():
            assert name.endswith(f"by_{index}") == (f"audit_records_{index}" in plan)


async def _plan(database: RawDatabase, rendered: RenderedStatement) -> str:
    connection = sqlite3.connect(database.url.removeprefix("sqlite://"))
    try:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {rendered.sql}", [None] * len(rendered.parameters))
        return "\n".join(row[3] for row in rows)
    finally:
        connection.close()


@on_sqlite
async def test_a_search_that_takes_too_long_is_ended_and_says_what_helps(
    metadata: Metadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread is free again: two such searches would else keep all others waiting (I12)."""
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(2000)]))
    hours = itertools.count(0, 3600)
    monkeypatch.setattr("entrepot.metadata.sql.sqlite_searches.perf_counter", lambda: float(next(hours)))
    monkeypatch.setattr("entrepot.metadata.sql.sqlite_threads._STEPS_BETWEEN_LOOKS", 5000)
    log, grant = AuditLog(metadata, KeptNotes()), SystemGrant(ListAuditLog, BOB)
    wide = AuditFilter(object_part="nowhere")

    for _ in range(4):
        with pytest.raises(AuditSearchTooWideError, match="say between which times"):
            await log.list(grant, AuditPageQuery(wide, 10))
        with pytest.raises(AuditSearchTooWideError):
            await log.count(grant, wide)

    assert len((await log.list(grant, AuditPageQuery(AuditFilter(user="alice"), 10))).entries) == 10
    # What helps, helps: only records of that time are looked at.
    await database.fetch("UPDATE audit_records SET at = 1000 * id")
    first, last = 1000 * 1001, 1000 * 1011
    narrow = AuditFilter(object_part="TEAM", since=first, until=last)
    assert len((await log.list(grant, AuditPageQuery(narrow, 100))).entries) == 10
    assert await log.count(grant, narrow) == 10


async def test_auditors_see_all_and_others_their_project_and_both_are_noted(metadata: Metadata) -> None:
    number = await add_team(metadata)
    records = [pull_record(1), pull_record(2, BOB, "other/app")]
    await metadata.write(lambda tx: tx.audit.extend(records))
    notes = KeptNotes()
    log = AuditLog(metadata, notes)

    everything = await log.list(SystemGrant(ListAuditLog, BOB), AuditPageQuery(AuditFilter(), 1))
    grant = ProjectGrant(ListLog, number, "team", BOB)
    theirs = await log.list(grant, AuditPageQuery(AuditFilter(project="other"), 10))

    assert ([entry.project for entry in everything.entries], everything.more) == (["other"], True)
    assert ([entry.project for entry in theirs.entries], theirs.more) == (["team"], False)
    assert await log.count(grant, AuditFilter()) == 1
    assert theirs.entries[0].fields["container.image.name"] == "team/app"
    assert [(note.action, note.project) for note in notes.records] == [
        (AuditAction.AUDIT_READ.value, ""),
        (AuditAction.AUDIT_READ.value, "team"),
    ]


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
async def test_the_places_of_a_time_are_found_in_parts_whatever_the_times_are(
    metadata: Metadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Of some millions of records one statement would take longer than it may; several may be of one millisecond."""
    monkeypatch.setattr("entrepot.metadata.sql.audit_queries._PLACES_AT_ONCE", at_once)
    times = [9, 5, 5, 5, 5, 7, 1]
    records = [msgspec.structs.replace(pull_record(at), at_milliseconds=at) for at in times]
    await metadata.write(lambda tx: tx.audit.extend(records))
    assert await metadata.audit.sequences_between(0, END_OF_TIME) is None
    await Sealer(metadata).run()

    for since, until in [(0, END_OF_TIME), (5, 6), (2, 9), (6, 10), (1, 2), (10, 20), (5, 8)]:
        met = [place for place, at in enumerate(times, 1) if since <= at < until]
        expected = (met[0], met[-1]) if met else None
        assert await metadata.audit.sequences_between(since, until) == expected
