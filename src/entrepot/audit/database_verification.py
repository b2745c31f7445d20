"""Verifies the audit log in the database it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from entrepot.audit.ecs import disclosed_values
from entrepot.audit.erasure import recorded_erasures
from entrepot.audit.export_format import sealed_record
from entrepot.audit.proof import ChainFollower, Fault, FaultKind, verify_checkpoints
from entrepot.audit.purge_mark import purge_faults, recorded_purge
from entrepot.audit.verdict import AuditVerdict, make_verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.audit_store import AuditRow, CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["verify_database"]

_BATCH: Final = 500


async def verify_database(
    metadata: Metadata, checkpoints: Sequence[CheckpointRow], trusted: Sequence[bytes]
) -> AuditVerdict:
    """Verify all records of a database, also against checkpoints that were kept elsewhere.

    Raises:
        MetadataError: the database can't be read.
    """
    chain = await metadata.audit.chain()
    unsealed = await metadata.audit.unsealed_count()
    if chain is None:
        faults = [
            Fault(
                FaultKind.TRUNCATED, 0, "", f"there are no records, but a checkpoint tells of {kept.sequence}"
            )
            for kept in checkpoints[:1]
        ]
        return AuditVerdict("", 0, 0, 0, 0, unsealed, 0, tuple(faults))
    known = (*await _all_checkpoints(metadata), *checkpoints)
    sound, faults = verify_checkpoints(chain.chain_id, known, trusted)
    start = chain.purged_sequence
    faults += purge_faults(start, await recorded_purge(metadata, start), sound, chain.now)
    follower = ChainFollower(
        chain.chain_id,
        chain.algorithm,
        start,
        chain.purged_hash,
        [checkpoint for checkpoint in sound if checkpoint.sequence >= start],
    )
    fault = follower.begin()
    while fault is None and (rows := await metadata.audit.sealed(follower.sequence, _BATCH)):
        fault = _follow(follower, rows, faults)
    if fault is None and follower.sequence < chain.sequence:
        message = f"the chain has {chain.sequence} records, the rest is gone"
        fault = Fault(FaultKind.TRUNCATED, follower.sequence, "", message)
    fault = fault or follower.end()
    recorded = await recorded_erasures(metadata) if follower.erased.count else frozenset[str]()
    unaccounted = follower.erased.unaccounted(recorded)
    if unaccounted:
        message = f"{unaccounted} records have no personal data, and no record of an erasure tells why"
        faults.append(Fault(FaultKind.DISCLOSURE, *follower.erased.first_unaccounted(recorded), message))
    return make_verdict(chain.chain_id, start, follower, fault, faults, unsealed, unaccounted)


def _follow(follower: ChainFollower, rows: Sequence[AuditRow], faults: list[Fault]) -> Fault | None:
    """Return the first fault behind which nothing can be followed.

    Where a checkpoint tells of another chain, this one can be: after an honest restore what came later has to be judged
    as well.
    """
    for row in rows:
        fault = follower.take(sealed_record(row)) or _column_fault(row)
        if fault is not None and fault.kind is FaultKind.REPLACED:
            faults.append(fault)
        elif fault is not None:
            return fault
    return None


async def _all_checkpoints(metadata: Metadata) -> Sequence[CheckpointRow]:
    found: list[CheckpointRow] = []
    while page := await metadata.audit.checkpoints(found[-1].sequence + 1 if found else 1, _BATCH):
        found += page
        if len(page) < _BATCH:
            break
    return found


def _column_fault(row: AuditRow) -> Fault | None:
    """Compare what records are found by with what was sealed: a change there would hide them from searches."""
    body: dict[str, Any] = msgspec.json.decode(row.body)
    about: dict[str, Any] = body.get("object") or {}
    personal = disclosed_values(row.disclosure)
    columns: dict[str, tuple[str, Any]] = {
        "action": (row.action, body.get("event.action")),
        "outcome": (row.outcome, body.get("event.outcome")),
        "subject": (row.subject, body.get("user.id")),
        "request_id": (row.request_id, body.get("http.request.id")),
        "project": (row.project, about.get("project")),
        "object_kind": (row.object_kind, about.get("kind")),
        "object_name": (row.object_name, about.get("name")),
        "user_name": (row.user_name, personal.get("user.name", "")),
        "address": (row.address, personal.get("source.ip", "")),
    }
    for column, (actual, sealed) in columns.items():
        if actual != sealed:
            message = f"its column {column} is not what was sealed"
            return Fault(FaultKind.CHANGED, row.sequence or 0, row.record_id, message)
    return None
