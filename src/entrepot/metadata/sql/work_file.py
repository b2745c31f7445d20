"""The scratch file of a rebuild: a SQLite file that is no registry's database and is deleted when the work is done."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from entrepot.metadata.rebuild_work import Content, Loss, LostTag, Spot
from entrepot.metadata.sql.rows import digest_from_text
from entrepot.metadata.sql.sqlite_connection import create_private_file, translate_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from entrepot.metadata.rebuild_work import LaterChange
    from entrepot.metadata.sql.statements import Row
    from entrepot.oci.digest import Digest

__all__ = ["SqliteWorkFile"]

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -16384;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS contents (
    storage_key TEXT PRIMARY KEY, digest TEXT, size_bytes INTEGER NOT NULL, good INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS contents_digest ON contents (digest);
CREATE TABLE IF NOT EXISTS losses (
    repository TEXT, what TEXT, digest TEXT, reason TEXT NOT NULL, PRIMARY KEY (repository, what, digest)
) STRICT;
CREATE TABLE IF NOT EXISTS lost_tags (
    repository TEXT, tag TEXT, digest TEXT NOT NULL, PRIMARY KEY (repository, tag)
) STRICT;
CREATE TABLE IF NOT EXISTS changes (
    repository TEXT, what TEXT, name TEXT, sequence INTEGER NOT NULL, PRIMARY KEY (repository, what, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spots (storage_key TEXT, reason TEXT, PRIMARY KEY (storage_key, reason)) STRICT;
"""
"""What is saved outlives a power cut (synchronous = FULL), as the unit whose outcome it is does; 16 MiB of memory."""
_TABLES: Final = ("notes", "contents", "losses", "lost_tags", "changes", "spots")

_FIND: Final = """
SELECT storage_key, digest, size_bytes FROM contents
WHERE digest = ? AND (good IS NULL OR good = 1) ORDER BY storage_key
"""
_PAGE: Final = """
SELECT storage_key, digest, size_bytes FROM contents
WHERE storage_key > ? AND digest IS NOT NULL ORDER BY storage_key LIMIT ?
"""


class SqliteWorkFile:
    """Implements :class:`entrepot.metadata.rebuild_work.RebuildWork`."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it when there is none.

        Raises:
            MetadataUnavailableError: it can't be opened.
        """
        self._path = path
        create_private_file(path)
        try:
            # A unit, which saves what it left out, may run on the database's own thread while this one waits for it.
            self._connection = sqlite3.connect(path, check_same_thread=False)
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise translate_error(error, path) from error

    def begin_anew(self) -> None:
        """See the protocol."""
        for table in _TABLES:
            self._change(f"DELETE FROM {table} WHERE ?", (1,))  # noqa: S608 - names from above

    def note(self, key: str) -> str:
        """See the protocol."""
        rows = self._rows("SELECT value FROM notes WHERE name = ?", key)
        return str(rows[0][0]) if rows else ""

    def write_down(self, key: str, value: str) -> None:
        """See the protocol."""
        self._change("INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)", (key, value))

    def clear_contents(self) -> None:
        """See the protocol."""
        self._change("DELETE FROM contents WHERE size_bytes >= ?", (0,))

    def add_contents(self, contents: Sequence[Content]) -> None:
        """See the protocol."""
        self._change(
            "INSERT OR REPLACE INTO contents (storage_key, digest, size_bytes) VALUES (?, ?, ?)",
            *((content.storage_key, str(content.digest), content.size_bytes) for content in contents),
        )

    def add_sizes(self, sizes: Sequence[tuple[str, int]]) -> None:
        """See the protocol."""
        self._change("INSERT OR REPLACE INTO contents (storage_key, size_bytes) VALUES (?, ?)", *sizes)

    def name_contents(self, digests: Sequence[tuple[str, Digest]]) -> None:
        """See the protocol."""
        self._change(
            "UPDATE contents SET digest = ? WHERE storage_key = ?",
            *((str(digest), key) for key, digest in digests),
        )

    def find(self, digest: Digest) -> Sequence[Content]:
        """See the protocol."""
        return [Content(key, digest, size) for key, _, size in self._rows(_FIND, str(digest))]

    def holds(self, storage_key: str) -> bool:
        """See the protocol."""
        rows = self._rows("SELECT good FROM contents WHERE storage_key = ?", storage_key)
        return bool(rows) and rows[0][0] != 0

    def is_verified(self, storage_key: str) -> bool:
        """See the protocol."""
        return self._rows("SELECT good FROM contents WHERE storage_key = ?", storage_key) == [(1,)]

    def judge(self, storage_key: str, *, good: bool) -> None:
        """See the protocol."""
        self._change("UPDATE contents SET good = ? WHERE storage_key = ?", (int(good), storage_key))

    def contents_after(self, storage_key: str, limit: int) -> Sequence[Content]:
        """See the protocol."""
        rows = self._rows(_PAGE, storage_key, limit)
        return [Content(key, digest_from_text(digest), size) for key, digest, size in rows]

    def lose(self, loss: Loss) -> None:
        """See the protocol."""
        self._change(
            "INSERT OR REPLACE INTO losses (repository, what, digest, reason) VALUES (?, ?, ?, ?)",
            (loss.repository, loss.what, loss.digest, loss.reason),
        )

    def regain(self, what: str, repository: str, digest: str) -> None:
        """See the protocol."""
        self._change(
            "DELETE FROM losses WHERE repository = ? AND what = ? AND digest = ?", (repository, what, digest)
        )

    def lose_tag(self, tag: LostTag) -> None:
        """See the protocol."""
        self._change(
            "INSERT OR REPLACE INTO lost_tags (repository, tag, digest) VALUES (?, ?, ?)",
            (tag.repository, tag.tag, tag.digest),
        )

    def regain_tag(self, repository: str, tag: str) -> None:
        """See the protocol."""
        self._change("DELETE FROM lost_tags WHERE repository = ? AND tag = ?", (repository, tag))

    def regain_tags_of(self, repository: str, digest: str) -> None:
        """See the protocol."""
        self._change("DELETE FROM lost_tags WHERE repository = ? AND digest = ?", (repository, digest))

    def regain_repository(self, repository: str) -> None:
        """See the protocol."""
        self._change("DELETE FROM losses WHERE repository = ?", (repository,))
        self._change("DELETE FROM lost_tags WHERE repository = ?", (repository,))

    def add_spot(self, spot: Spot) -> None:
        """See the protocol."""
        self._change(
            "INSERT OR IGNORE INTO spots (storage_key, reason) VALUES (?, ?)", (spot.key, spot.reason)
        )

    def forget_spots(self, prefix: str) -> None:
        """See the protocol."""
        self._change("DELETE FROM spots WHERE substr(storage_key, 1, length(?)) = ?", (prefix, prefix))

    def clear_changes(self) -> None:
        """See the protocol."""
        self._change("DELETE FROM changes WHERE sequence >= ?", (0,))

    def add_changes(self, changes: Sequence[LaterChange]) -> None:
        """See the protocol."""
        self._change(
            "INSERT OR REPLACE INTO changes (repository, what, name, sequence) VALUES (?, ?, ?, ?)",
            *((one.repository, one.what, one.name, one.sequence) for one in changes),
        )

    def last_change(self, repository: str, what: str, name: str) -> int:
        """See the protocol."""
        query = "SELECT sequence FROM changes WHERE repository = ? AND what = ? AND name = ?"
        rows = self._rows(query, repository, what, name)
        return int(rows[0][0]) if rows else 0

    def losses(self) -> Iterator[Loss]:
        """See the protocol."""
        query = "SELECT what, repository, digest, reason FROM losses ORDER BY repository, what, digest"
        return (Loss(*row) for row in self._connection.execute(query))

    def lost_tags(self) -> Iterator[LostTag]:
        """See the protocol."""
        query = "SELECT repository, tag, digest FROM lost_tags ORDER BY repository, tag"
        return (LostTag(*row) for row in self._connection.execute(query))

    def spots(self) -> Iterator[Spot]:
        """See the protocol."""
        query = "SELECT storage_key, reason FROM spots ORDER BY storage_key, reason"
        return (Spot(*row) for row in self._connection.execute(query))

    def save(self) -> None:
        """See the protocol."""
        try:
            self._connection.commit()
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error

    def close(self) -> None:
        """Close the file, and keep it."""
        self.save()
        self._connection.close()

    def remove(self) -> None:
        """Close the file and delete it: nobody needs it any more."""
        self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).unlink()

    def _rows(self, query: str, *values: str | int) -> list[Row]:
        """Return the rows that a query selects."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error

    def _change(self, statement: str, *rows: tuple[str | int, ...]) -> None:
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error
