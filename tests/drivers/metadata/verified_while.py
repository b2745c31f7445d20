"""Verifies the audit log of a store while something else happens between its reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from entrepot.audit.database_verification import verify_database

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from entrepot.audit.verdict import AuditVerdict
    from entrepot.metadata.audit_store import AuditRow, CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["Passing", "verified_while"]


class Passing:
    """A store that passes on what is not told otherwise."""

    def __init__(self, wrapped: object) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


async def nothing() -> None:
    """Let nothing happen."""


async def verified_while(
    metadata: Metadata,
    walking: Callable[[], Awaitable[object]],
    waiting: Callable[[], Awaitable[object]] = nothing,
    kept: Sequence[CheckpointRow] = (),
) -> AuditVerdict:
    """Verify the database; something happens before each read of the chain, and something before what waits is read."""
    store, audit = Passing(metadata), Passing(metadata.audit)

    async def sealed(after: int, limit: int) -> Sequence[AuditRow]:
        await walking()
        return await metadata.audit.sealed(after, limit)

    async def read_waiting(after: int, limit: int) -> Sequence[AuditRow]:
        await waiting()
        return await metadata.audit.waiting(after, limit)

    vars(store)["audit"] = audit
    vars(audit).update(sealed=sealed, waiting=read_waiting)
    passing: Any = store
    return await verify_database(passing, kept, [])
