"""The protocols of upload sessions: how status requests read them, and how units change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import (
        ExpiredUpload,
        Missing,
        NewUploadSession,
        TimesAhead,
        UploadLease,
        UploadProgress,
        UploadSession,
    )

__all__ = ["UploadSessionReader", "UploadSessionWriterRows"]


class UploadSessionReader(Protocol):
    """Upload sessions as status requests need them. Each call is one statement."""

    async def find(self, repository: str, public_id: str, creator: str) -> UploadSession | Missing:
        """Return a session of this repository and this creator; any other is missing (S5)."""
        ...

    async def lease_owners(self, prefix: str) -> Sequence[str]:
        """Return who holds leases now, run out or not, of those whose names begin with `prefix`."""
        ...

    async def furthest(self) -> TimesAhead:
        """Return how far ahead of the database's clock the last lease and the last session end, 0 if none does."""
        ...


class UploadSessionWriterRows(Protocol):
    """Upload sessions within a unit."""

    async def create(self, session: NewUploadSession) -> None:
        """Insert a session at offset 0."""

    async def lease(
        self, repository: str, public_id: str, creator: str, owner: str, lease_seconds: int
    ) -> UploadLease | Missing | None:
        """Take the lease of a session; `None` when somebody else holds it, `Missing` when there is no such session."""
        ...

    async def renew(self, public_id: str, fence: int, lease_seconds: int) -> bool:
        """Prolong a lease; `False` when it was lost."""
        ...

    async def record(self, progress: UploadProgress) -> bool:
        """Record new offset, digest and state and release the lease; `False` when lease or offset were lost."""
        ...

    async def release(self, public_id: str, fence: int) -> None:
        """Give the lease back without a change; a lost one is fine."""

    async def remove(self, public_id: str, fence: int) -> bool:
        """Delete the session; `False` when the lease was lost."""
        ...

    async def remove_expired(self, limit: int) -> Sequence[ExpiredUpload]:
        """Delete up to `limit` sessions whose time is over and which nobody holds, and return them."""
        ...

    async def shorten(self, lease_seconds: int, life_seconds: int) -> None:
        """Let leases and sessions that end later end after so long from now (F27).

        A holder that lives renews its lease before; a session that goes on gets its time anew. Of very many sessions
        the next call shortens the rest.
        """

    async def release_owner(self, owner: str) -> int:
        """Give back every lease of a process that is known to be dead; return how many."""
        ...
