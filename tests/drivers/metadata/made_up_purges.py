"""Cuts of the log's beginning as a purge makes them, by hand, and records of purges that never were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.host import host_operator

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = ["cut_beginning", "lie_about_a_purge"]


async def cut_beginning(database: RawDatabase, last: int) -> None:
    """Remove all records up to the one numbered `last`, and move the chain's beginning behind it."""
    await database.fetch(
        f"UPDATE audit_chain SET purged_sequence = {last}, "
        f"purged_hash = (SELECT chain_hash FROM audit_records WHERE sequence = {last})"
    )
    await database.fetch(f"DELETE FROM audit_records WHERE sequence <= {last}")


async def lie_about_a_purge(metadata: Metadata, first: int, kept_from: int) -> None:
    """Add a record which says that a purge removed what is numbered from `first` to before `kept_from`."""
    record = audit_record(
        host_operator(),
        AuditAction.AUDIT_PURGE,
        AuditObject("audit-log", ""),
        before={"first": first},
        after={"first": kept_from},
    )
    await metadata.write(lambda tx: tx.audit.append(record))
