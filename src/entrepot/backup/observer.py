"""Who is told how far a backup or a restore has come."""

from __future__ import annotations

from typing import Literal, Protocol

__all__ = ["BackupObserver"]


class BackupObserver(Protocol):
    """Told from one task at a time; must not block."""

    def begin(self, title: str, total: int | None = None, unit: Literal["bytes", "items"] = "bytes") -> None:
        """A kind of work begins; `total` is how much of it there is, if that is known."""

    def advance(self, count: int, note: str = "") -> None:
        """More of it is done."""

    def say(self, line: str) -> None:
        """Something a person wants to read."""
