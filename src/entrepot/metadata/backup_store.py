"""The protocols of what backups and restores do with rows while the registry runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from entrepot.oci.digest import Digest

__all__ = ["BackupReader", "BackupRows"]


class BackupReader(Protocol):
    """What is known of backups."""

    async def last_completed(self) -> int | None:
        """Return when the last backup was completed (milliseconds since 1970), `None` when none ever was."""
        ...


class BackupRows(Protocol):
    """Backups and restored bytes within a unit."""

    async def record_completed(self, snapshot: str) -> None:
        """Remember that this snapshot was completed just now."""

    async def repoint(self, digest: Digest, expected_key: str, new_key: str) -> bool:
        """Let a blob's row name other bytes, if it still names `expected_key`; tell whether it did."""
        ...
