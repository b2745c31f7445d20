"""The frozen data directories: what there is, unpacked for one test, with a database of its own on PostgreSQL."""

from __future__ import annotations

import lzma
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tests.upgrade.content import Expectations

if TYPE_CHECKING:
    from tests.drivers.postgres_server import PostgresServer

__all__ = [
    "FROZEN",
    "STATEMENTS",
    "FrozenStatements",
    "Thawed",
    "compatible_names",
    "frozen_names",
    "frozen_statements",
    "schema_of",
    "thaw",
]

FROZEN: Final = Path(__file__).parent / "frozen"
STATEMENTS: Final = "statements.json.xz"
_ACCESS_TOKENS_SINCE: Final = 5
_LATER: Final = (
    "UPDATE {table} SET expires_at = expires_at + 3155760000000 WHERE expires_at < 4000000000000;\n"
)
"""A hundred years: no test may fail on the day on which something frozen would have expired."""
_WRITE_AND_DIE: Final = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA wal_autocheckpoint = 0")
database.executescript(sys.argv[2])
os._exit(0)
"""
"""Closed, the database would lose its log, which is one of the traces of a crash."""


class FrozenStatements(msgspec.Struct, frozen=True):
    """The SQL of one version, rendered: by dialect, then by name."""

    schema: int
    statements: dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Thawed:
    """A frozen directory as a registry can open it."""

    data: Path
    url: str
    schema: int
    expectations: Expectations

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings to serve it with, as sections."""
        settings: dict[str, dict[str, Any]] = {"storage": {"min_free_bytes": 0}}
        if self.url.startswith("postgresql"):
            settings["metadata"] = {"url": self.url}
        if self.expectations.accounts is not None:
            settings["access"] = {"accounts": True}
        return settings


def frozen_names() -> list[str]:
    """Return the names of all frozen versions, oldest first."""
    return sorted(path.name for path in FROZEN.iterdir() if path.is_dir())


def compatible_names() -> list[str]:
    """Return the frozen versions whose program may still run beside the head: those that keep their statements."""
    return [name for name in frozen_names() if (FROZEN / name / STATEMENTS).exists()]


def schema_of(name: str) -> int:
    """Return the version of the schema that a frozen directory has."""
    return int(name.partition("-")[0])


def frozen_statements(name: str) -> FrozenStatements:
    """Return the statements of one version."""
    packed = (FROZEN / name / STATEMENTS).read_bytes()
    return msgspec.json.decode(lzma.decompress(packed), type=FrozenStatements)


def thaw(name: str, engine: str, directory: Path, postgres: PostgresServer | None) -> Thawed:
    """Unpack one frozen directory into `directory`, and its dump into a new database."""
    expectations = msgspec.json.decode((FROZEN / name / f"{engine}.json").read_bytes(), type=Expectations)
    data = directory / "data"
    with tarfile.open(FROZEN / name / f"{engine}.tar.xz") as archive:
        archive.extractall(data, filter="data")
    database = data / "metadata" / "entrepot.db"
    url = f"sqlite://{database}"
    later = _so_that_nothing_expires(schema_of(name))
    if postgres is not None:
        url = postgres.create_database()
        dump = data / "dump.sql"
        dump.write_text(f"{dump.read_text()}\nSET search_path TO public;\n{later}")  # pg_dump leaves none
        postgres.run_script(url, dump)
        dump.unlink()
    else:
        subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, str(database), later], check=True)
        database.with_name(f"{database.name}-shm").unlink()
    return Thawed(data, url, schema_of(name), expectations)


def _so_that_nothing_expires(schema: int) -> str:
    tables = ["upload_sessions", *(["access_tokens"] if schema >= _ACCESS_TOKENS_SINCE else [])]
    return "".join(_LATER.format(table=table) for table in tables)
