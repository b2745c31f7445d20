"""The migrations of the schema as values: read from the package, rendered per dialect, identified by a checksum."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import MetadataError, RestoreUnfinishedError, SchemaMismatchError
from entrepot.metadata.sql.statements import NOW, Statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.sql.statements import Dialect, Value

__all__ = [
    "CREATE_LEDGER",
    "RECORD_MIGRATION",
    "Migration",
    "MigrationChangedError",
    "load_migrations",
    "mark_entry",
    "pending_migrations",
    "render_migration",
    "require_current",
    "require_whole",
    "split_script",
]

_FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql\Z")
_ONLY_ON: Final = re.compile(
    r"^-- only on (sqlite|postgresql)\n(.*?)^-- end of only\n", re.DOTALL | re.MULTILINE
)
_TOKENS: Final[dict[Dialect, dict[str, str]]] = {
    "sqlite": {
        "identity": "INTEGER PRIMARY KEY",
        "sequence": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "integer": "INTEGER",
        "text": "TEXT",
        "bytes": "BLOB",
        "no_bytes": "x''",
        "random_id": "lower(hex(randomblob(16)))",
        "table": "STRICT",
        "keyed_table": "STRICT, WITHOUT ROWID",
        "now": NOW["sqlite"],
    },
    "postgresql": {
        "identity": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "sequence": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "integer": "bigint",
        "text": 'text COLLATE "C"',
        "bytes": "bytea",
        "no_bytes": "''::bytea",
        "random_id": "replace(gen_random_uuid()::text, '-', '')",
        "table": "",
        "keyed_table": "",
        "now": NOW["postgresql"],
    },
}

CREATE_LEDGER: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version {integer} NOT NULL PRIMARY KEY,
    name {text} NOT NULL,
    checksum {text} NOT NULL,
    applied_at {integer} NOT NULL
) {table}
"""
"""Where applied migrations are noted; the only table that is not made by a migration."""

RECORD_MIGRATION: Final = Statement(
    "schema.record_migration",
    """
    INSERT INTO schema_migrations (version, name, checksum, applied_at)
    VALUES (:version, :name, :checksum, {now})
    """,
)


class MigrationChangedError(MetadataError):
    """The database was migrated by another text than this program has under the same number."""

    def __init__(self, version: int) -> None:
        super().__init__(f"migration {version:04d} was applied from another text than this program has")
        self.version = version


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema; `template` is SQL for both engines, with tokens in braces."""

    version: int
    name: str
    template: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the template: the same for both engines."""
        return hashlib.sha256(self.template.encode()).hexdigest()

    def ledger_entry(self) -> dict[str, Value]:
        """Return the parameters of :data:`RECORD_MIGRATION`."""
        return {"version": self.version, "name": self.name, "checksum": self.checksum}


_RESTORE_MARK: Final = 0
"""Stands among the versions of a database that is being restored, until all of it is there."""


def mark_entry(snapshot: str) -> dict[str, Value]:
    """Return the parameters of :data:`RECORD_MIGRATION` that mark a database as one that is being restored."""
    return {"version": _RESTORE_MARK, "name": "restore", "checksum": snapshot}


def require_whole(applied: dict[int, str]) -> dict[int, str]:
    """Return the checksums of applied migrations unless a restore is not finished.

    Raises:
        RestoreUnfinishedError: there is the mark of one.
    """
    if _RESTORE_MARK in applied:
        raise RestoreUnfinishedError(applied[_RESTORE_MARK])
    return applied


def load_migrations() -> tuple[Migration, ...]:
    """Return the migrations of this program, oldest first, numbered from 1 without gaps."""
    found: list[Migration] = []
    for entry in resources.files("entrepot.metadata.sql.migrations").iterdir():
        match = _FILE_NAME.match(entry.name)
        if match is not None:
            found.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.version))


def render_migration(template: str, dialect: Dialect) -> str:
    """Replace the tokens of a schema template, and leave out what is for another engine only."""
    tokens = _TOKENS[dialect]
    ours = _ONLY_ON.sub(lambda match: match[2] if match[1] == dialect else "", template)
    return re.sub(r"\{([a-z_]+)\}", lambda match: tokens[match[1]], ours)


def split_script(script: str) -> list[str]:
    """Return the statements of a script one by one: SQLite's own script runner would commit first.

    A migration has plain statements only, and triggers on SQLite: what PostgreSQL gets has no semicolon within a body.
    """
    statements: list[str] = []
    current = ""
    for line in script.splitlines(keepends=True):
        if not current and (not line.strip() or line.startswith("--")):
            continue
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    if current.strip():
        statements.append(current)
    return statements


def pending_migrations(applied: Mapping[int, str], known: Sequence[Migration]) -> tuple[Migration, ...]:
    """Return which of `known` are still to be applied to a database with the checksums `applied`, by version.

    Raises:
        MigrationChangedError: an applied migration was edited afterwards.
        SchemaMismatchError: the database is newer than this program.
    """
    newest = known[-1].version
    found = max(applied, default=0)
    if found > newest:
        raise _newer(found, newest)
    for migration in known:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationChangedError(migration.version)
    return tuple(migration for migration in known if migration.version not in applied)


def require_current(found: int, newest: int) -> None:
    """Refuse to serve from a schema of another version.

    Raises:
        SchemaMismatchError: with the remedy for an empty, an older or a newer database.
    """
    if found > newest:
        raise _newer(found, newest)
    if found == 0:
        remedy = (
            "the database is empty; run `entrepot migrate` for a new registry, or `entrepot rebuild` or `entrepot "
            "backup restore` for one whose database was lost"
        )
        raise SchemaMismatchError(found, newest, remedy)
    if found < newest:
        raise SchemaMismatchError(found, newest, "run `entrepot migrate`")


def _newer(found: int, newest: int) -> SchemaMismatchError:
    remedy = "this program is older than the database; install the version that migrated it, or a newer one"
    return SchemaMismatchError(found, newest, remedy)
