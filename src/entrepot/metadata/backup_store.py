"""The protocols of what backups and restores do with rows while the registry runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from entrepot.oci.digest import Digest

__all__ = ["BackupReader", "BackupRows", "Completion"]


@dataclass(frozen=True, slots=True)
class Completion:
    """When something was completed, and the time now: by the database's clock, in milliseconds since 1970."""

    at_milliseconds: int
    now_milliseconds: int


class BackupReader(Protocol):
    """What is known of backups."""

    async def last_completed(self) -> Completion | None:
        """Return when the last backup was completed, `None` when none ever was."""
        ...


class BackupRows(Protocol):
    """Backups and restored bytes within a unit."""

    async def record_completed(self, snapshot: str) -> None:
        """Remember that this snapshot was completed just now."""

    async def repoint(self, digest: Digest, expected_key: str, new_key: str) -> bool:
        """Let a blob's row name other bytes, if it still names `expected_key`; tell whether it did."""
        ...
