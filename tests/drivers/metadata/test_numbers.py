"""Numbers that the management API shows are never given to another row: a stale one must not hit what came later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.metadata.group_store import GroupQuery
from entrepot.metadata.sql.migrate import apply_migrations, migrate
from entrepot.metadata.sql.schema import Migration, load_migrations, render_migration, split_script
from tests.drivers.metadata.identity_rows import IdentityRows
from tests.drivers.metadata.raw_database import RawDatabase, unheard

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata

_TABLES: Final = ("roles", "role_assignments", "labels")
_INDEXES: Final = (
    "labels_global",
    "labels_project",
    "role_assignments_project",
    "role_assignments_role",
    "role_assignments_subject",
    "role_assignments_system",
)


async def _add_label(database: RawDatabase, name: str, project: int | str = "NULL") -> int:
    await database.fetch(
        f"INSERT INTO labels (project_id, name, created_at, updated_at) VALUES ({project}, '{name}', 1, 1)"
    )
    return int(await database.value(f"SELECT id FROM labels WHERE name = '{name}'"))


async def _newest(database: RawDatabase, suffix: str) -> dict[str, int]:
    """Add a row to each table, and return their numbers."""
    rows = IdentityRows(database)
    subject = await rows.user(f"user-{suffix}")
    return {
        "roles": await rows.custom_role(f"role-{suffix}", "project", []),
        "role_assignments": await rows.give(subject, "guest", await rows.project(f"project-{suffix}")),
        "labels": await _add_label(database, f"label-{suffix}"),
    }


@pytest.mark.parametrize("table", _TABLES)
async def test_the_number_of_a_deleted_row_is_never_given_again_s7(database: RawDatabase, table: str) -> None:
    first = await _newest(database, "a")
    await database.fetch(f"DELETE FROM {table}")

    assert (await _newest(database, "b"))[table] > first[table]


async def _content(database: RawDatabase) -> dict[str, list[tuple[Any, ...]]]:
    return {table: await database.fetch(f"SELECT * FROM {table} ORDER BY id") for table in _TABLES}


async def test_rows_of_an_older_database_keep_their_numbers_and_the_next_come_after_them_s7(
    empty_url: str,
) -> None:
    database = RawDatabase(empty_url)
    await apply_migrations(empty_url, load_migrations()[:5], None, unheard)
    for suffix in ("a", "b"):
        await _newest(database, suffix)
    numbers = await _newest(database, "c")
    for table in _TABLES:
        await database.fetch(f"DELETE FROM {table} WHERE id = (SELECT min(id) FROM {table})")
    before = await _content(database)

    await migrate(empty_url, None, unheard)

    assert await _content(database) == before
    for table in _TABLES:
        await database.fetch(f"DELETE FROM {table}")
    after = await _newest(database, "d")
    assert {table: after[table] > numbers[table] for table in _TABLES} == dict.fromkeys(_TABLES, True)
    catalogue, column = ("sqlite_master", "name") if database.is_sqlite else ("pg_indexes", "indexname")
    names = ", ".join(f"'{name}'" for name in _INDEXES)
    found = await database.fetch(f"SELECT {column} FROM {catalogue} WHERE {column} IN ({names}) ORDER BY 1")
    assert [name for (name,) in found] == list(_INDEXES)


async def test_members_and_labels_still_go_with_their_project_after_the_tables_were_made_anew(
    database: RawDatabase,
) -> None:
    rows = IdentityRows(database)
    project = await rows.project("team")
    await rows.give(await rows.user("ann"), "guest", project)
    await _add_label(database, "stable", project)
    if database.is_sqlite:
        tables = {
            row[2] for table in _TABLES for row in await database.fetch(f"PRAGMA foreign_key_list({table})")
        }
        assert tables == {"projects", "subjects"}
        return

    await database.fetch(f"DELETE FROM projects WHERE id = {project}")

    assert [await database.count(table) for table in ("role_assignments", "labels")] == [0, 0]


def test_what_is_for_one_engine_is_left_out_on_the_other() -> None:
    template = "-- only on sqlite\nSELECT {identity};\n-- end of only\nSELECT 2;\n"
    migration = Migration(1, "example", template)

    assert split_script(render_migration(migration.template, "postgresql")) == ["SELECT 2;\n"]
    assert split_script(render_migration(migration.template, "sqlite")) == [
        "SELECT INTEGER PRIMARY KEY;\n",
        "SELECT 2;\n",
    ]
    assert split_script(render_migration(load_migrations()[5].template, "postgresql")) == []


async def test_the_number_of_a_deleted_group_is_never_given_again_s7(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Neither to a group nor to a person: whoever has it in hand reaches nothing, and the name is free at once."""
    person = await IdentityRows(database).user("ann")
    first = await metadata.write(lambda tx: tx.user_groups.insert("a" * 32, "builders", 2, ""))
    assert first is not None
    await metadata.write(lambda tx: tx.user_groups.add_members(first, {person}))

    await metadata.write(lambda tx: tx.user_groups.delete(first))
    second = await metadata.write(lambda tx: tx.user_groups.insert("b" * 32, "builders", 2, ""))
    third = await metadata.write(
        lambda tx: tx.users.insert("c" * 32, "builders", email="", realname="", comment="")
    )

    assert second is not None
    assert third is not None
    assert first < second < third
    assert await metadata.user_groups.find(first) is None
    assert [group.id for group in (await metadata.user_groups.list_page(GroupQuery())).groups] == [second]
    assert await metadata.write(lambda tx: tx.user_groups.find(first)) is None
    assert await metadata.user_groups.member_ids(second) == []
    assert await database.count("group_members") == 0
