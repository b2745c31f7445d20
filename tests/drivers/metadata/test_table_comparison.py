"""Tables of the audit log that are not as the migrations make them are told of, on both engines (I11).

What a policy, a rule or a view hides from lists the walk over the chain may see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.table_comparison import AUDIT_TABLES, compare_tables
from tests.drivers.metadata.raw_database import RawDatabase, unheard

if TYPE_CHECKING:
    from collections.abc import Sequence

_POSTGRESQL: Final = {
    "a policy": (
        (
            "ALTER TABLE audit_records ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY hiding ON audit_records USING (current_query() NOT LIKE '%ORDER BY id%')",
        ),
        ["audit_records has security by rows", "audit_records has the policy hiding"],
    ),
    "a policy that is not in force": (
        ("CREATE POLICY hiding ON audit_records USING (false)",),
        ["audit_records has the policy hiding"],
    ),
    "a rule": (
        ("CREATE RULE losing AS ON INSERT TO audit_checkpoints DO INSTEAD NOTHING",),
        ["audit_checkpoints has the rule losing"],
    ),
    "a view": (
        (
            "ALTER TABLE audit_records RENAME TO audit_rows",
            "CREATE VIEW audit_records AS SELECT * FROM audit_rows WHERE project <> 'red'",
        ),
        ["audit_records is no table"],
    ),
    "a trigger": (
        (
            (
                "CREATE TRIGGER keeping BEFORE UPDATE ON audit_chain FOR EACH ROW "
                "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            ),
        ),
        ["audit_chain has the trigger keeping"],
    ),
    "rows of another table": (
        ("CREATE TABLE more () INHERITS (audit_records)",),
        ["audit_records has rows of more"],
    ),
    "no table": (("DROP TABLE audit_spools",), ["audit_spools is no table"]),
}
_SQLITE: Final = {
    "a view": (
        (
            "ALTER TABLE audit_records RENAME TO audit_rows",
            "CREATE VIEW Audit_Records AS SELECT * FROM audit_rows WHERE project <> 'red'",
            "CREATE TRIGGER taking INSTEAD OF INSERT ON audit_records BEGIN SELECT 1; END",
        ),
        ["audit_records is no table", "audit_records has the trigger taking"],
    ),
    "a trigger": (
        (
            (
                "CREATE TRIGGER losing AFTER INSERT ON audit_records BEGIN "
                "DELETE FROM audit_records WHERE project = 'red'; END"
            ),
        ),
        ["audit_records has the trigger losing"],
    ),
    "a virtual table": (
        ("DROP TABLE audit_spools", "CREATE VIRTUAL TABLE audit_spools USING fts5 (node)"),
        ["audit_spools is no table"],
    ),
    "no table": (("DROP TABLE audit_spools",), ["audit_spools is no table"]),
}


@pytest.fixture
async def own_database(empty_url: str) -> RawDatabase:
    """Return a database of this test alone."""
    await initialise_if_empty(empty_url, unheard)
    return RawDatabase(empty_url)


async def test_tables_as_the_migrations_make_them_are_sound_i11(own_database: RawDatabase) -> None:
    """A trigger on another table is none of theirs."""
    if own_database.is_sqlite:
        await own_database.fetch("CREATE TRIGGER counting AFTER INSERT ON tags BEGIN SELECT 1; END")
    assert list(await compare_tables(own_database.url, AUDIT_TABLES)) == []


@pytest.mark.parametrize("kind", sorted({*_POSTGRESQL, *_SQLITE}))
async def test_what_may_have_lists_show_other_rows_is_told_of_i11(
    own_database: RawDatabase, kind: str
) -> None:
    known: dict[str, tuple[Sequence[str], list[str]]] = {
        **(_SQLITE if own_database.is_sqlite else _POSTGRESQL)
    }
    if kind not in known:
        return
    statements, expected = known[kind]
    await own_database.fetch_each(statements)

    assert list(await compare_tables(own_database.url, AUDIT_TABLES)) == expected
