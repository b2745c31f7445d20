"""A schema laid into an empty database sooner than by its migrations, for tests that ask nothing of migrations.

Forty milliseconds of processor time, thousands of times, would be a sixth of a run. The schema is that of the product:
a file is migrated once per run of the tests, by the product, and then copied.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from entrepot.kernel.durable_directories import create_directory
from entrepot.metadata.sql.schema import load_migrations
from entrepot.metadata.sql.sqlite_migration import migrate_sqlite
from entrepot.settings import metadata_path, uses_postgresql

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.metadata.sql.schema import Migration
    from entrepot.settings import Settings

__all__ = ["lay_schema", "lay_schema_for"]

_INCARNATION = re.compile(r"[0-9a-f]{32}")


def lay_schema(path: Path) -> None:
    """Make the SQLite file `path` with the schema in it and an incarnation of its own, as a first start leaves it.

    Only the moments noted in it, of the migrations and of its making, are those of the file it is copied from.

    Raises:
        FileExistsError: there is a file already.
    """
    template, incarnation = _migrated_file()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, made with the mode that the product gives
        # No checksum covers the pages of a database (sqlite.org/fileformat2.html), and the length stays the same.
        file.write(template.replace(incarnation, secrets.token_hex(16).encode()))


def lay_schema_for(settings: Settings) -> None:
    """Do so for the database that `settings` name, if it is a file that does not exist yet."""
    if uses_postgresql(settings):
        return
    path = metadata_path(settings)
    if not path.exists():
        create_directory(path.parent, 0o700)
        lay_schema(path)


@functools.cache
def _migrated_file() -> tuple[bytes, bytes]:
    """Return the bytes of a file with the schema, and those of its incarnation, which are in it once."""
    with tempfile.TemporaryDirectory(prefix="entrepot-schema-") as directory:
        path = Path(directory) / "metadata.db"
        migrate_sqlite(path, None, _choose_all, _unheard)
        with closing(sqlite3.connect(path)) as connection:
            ((incarnation,),) = connection.execute("SELECT incarnation FROM instance").fetchall()
        assert _INCARNATION.fullmatch(incarnation), incarnation
        content = path.read_bytes()
    assert content.count(incarnation.encode()) == 1
    return content, incarnation.encode()


def _choose_all(applied: Mapping[int, str]) -> tuple[Migration, ...]:
    assert not applied
    return load_migrations()


def _unheard(line: str) -> None:
    """Take a line of the migration's report."""
