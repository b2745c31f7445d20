"""A database from before people were told apart by more than their exact names is migrated with its duplicates."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Final

from entrepot.metadata.sql import taken_identities
from entrepot.metadata.sql.dumping import open_load, reserve_for_load
from entrepot.metadata.sql.migrate import apply_migrations, migrate
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.schema import load_migrations
from entrepot.metadata.sql.statements import render
from tests.drivers.metadata.identity_rows import IdentityRows
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.running.audit_material import pull_record

_BEFORE: Final = load_migrations()[:6]


async def _duplicate(rows: IdentityRows, database: RawDatabase, name: str, email: str) -> int:
    number = await rows.user(name)
    await database.fetch(f"UPDATE users SET email = '{email}' WHERE subject_id = {number}")
    return number


async def test_duplicates_neither_stop_a_migration_nor_an_older_program_beside(empty_url: str) -> None:
    """What it has is as it was, and another duplicate, as the version before makes it, is taken."""
    database = RawDatabase(empty_url)
    rows = IdentityRows(database)
    await apply_migrations(empty_url, _BEFORE, None, unheard)
    before = [
        await _duplicate(rows, database, name, email)
        for name, email in (("ann", "ann@x.org"), ("Ann", "ANN@x.org"), ("bob", ""), ("eve", ""))
    ]

    report = await migrate(empty_url, None, unheard)
    late = await _duplicate(rows, database, "ANN", "ann@x.org")

    assert report.from_version == 6
    metadata = await open_metadata(empty_url, 2, 10.0)
    found = [(one.id, one.name, one.email) for one in await metadata.users.identities()]
    taken = await metadata.write(lambda tx: tx.users.name_is_taken("aNN"))
    free = await metadata.write(lambda tx: tx.users.address_is_taken("", but=before[2]))
    await metadata.aclose()
    assert found == [
        (before[0], "ann", "ann@x.org"),
        (before[1], "Ann", "ANN@x.org"),
        (before[2], "bob", ""),
        (before[3], "eve", ""),
        (late, "ANN", "ann@x.org"),
    ]
    assert (taken, free) == (True, False)


async def test_names_and_addresses_are_looked_up_in_indexes(database: RawDatabase) -> None:
    """However many people there are: the units of a registry wait for the look on SQLite."""
    if not database.is_sqlite:
        return  # the catalogue's test asks PostgreSQL's planner
    steps: list[str] = []
    with closing(sqlite3.connect(database.path)) as connection:
        for statement in (taken_identities.NAMED, taken_identities.ADDRESSES):
            rendered = render(statement, "sqlite")
            explained = connection.execute(
                f"EXPLAIN QUERY PLAN {rendered.sql}", [None] * len(rendered.parameters)
            )
            steps += [step for *_, step in explained.fetchall()]

    used = [
        name
        for name in ("subjects_lower_name", "users_email", "users_email_not_ascii")
        if any(f"INDEX {name}" in step for step in steps)
    ]
    assert used == ["subjects_lower_name", "users_email", "users_email_not_ascii"]


async def test_the_record_of_a_restore_is_added_to_the_schema_of_an_older_backup_i11(empty_url: str) -> None:
    """It lies beside the rows that it tells of, before these are migrated."""
    await reserve_for_load(empty_url, "snapshot")
    async with open_load(empty_url, 6) as target:
        await target.add_record(pull_record(1))

    await migrate(empty_url, None, unheard)

    records = "SELECT object_name, project_id FROM audit_records"
    assert await RawDatabase(empty_url).fetch(records) == [("team/app", None)]
