"""SQLite files, past the store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["backup", "integrity", "log_beside"]


def log_beside(path: Path) -> Path:
    """Return where its log lies."""
    return path.with_name(f"{path.name}-wal")


def backup(path: Path, name: str) -> Path:
    """Return a copy that the engine makes."""
    copy = path.with_name(name)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def integrity(path: Path) -> str:
    """Return what the engine finds wrong with it, or `ok`."""
    with closing(sqlite3.connect(path)) as connection:
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        return str(answer)
