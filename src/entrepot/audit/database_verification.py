"""Verifies the audit log in the database it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.checkpoints import all_checkpoints
from entrepot.audit.database_walk import WaitingRows
from entrepot.audit.erasure import recorded_erasures
from entrepot.audit.moving_beginning import follow_chain
from entrepot.audit.proof import Fault, FaultKind, verify_checkpoints
from entrepot.audit.purge_mark import believable_time, purge_faults, purge_time, recorded_purge
from entrepot.audit.verdict import AuditVerdict, make_verdict
from entrepot.kernel.clock import machine_milliseconds
from entrepot.metadata.audit_store import END_OF_TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.audit.database_walk import DatabaseWalk
    from entrepot.audit.proof import ChainFollower
    from entrepot.metadata.audit_store import CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["verify_database"]

_MOST_NAMED: Final = 100
"""Rows outside of the chain, whose number only their maker bounds."""
_LONG_WAIT_MILLISECONDS: Final = 60_000
"""A registry seals every second."""


async def verify_database(
    metadata: Metadata, checkpoints: Sequence[CheckpointRow], trusted: Sequence[bytes]
) -> AuditVerdict:
    """Verify all records of a database, also against checkpoints that were kept elsewhere.

    Raises:
        MetadataError: the database can't be read.
    """
    chain = await metadata.audit.chain()
    if chain is None:
        verdict = await _without_chain(metadata, checkpoints)
        chain = await metadata.audit.chain()  # a registry may have begun it meanwhile
        if chain is None:
            return verdict
    known = (*await all_checkpoints(metadata), *checkpoints)
    sound, faults = verify_checkpoints(chain.chain_id, known, trusted)
    followed = await follow_chain(metadata, chain, sound)
    chain, follower, walk, fault = followed.chain, followed.follower, followed.walk, followed.fault
    start = chain.purged_sequence
    purge = walk.purge_of(start)
    if fault is not None and purge is None:
        # Behind the fault nothing is proven, and that is said; what a row proves by itself spares a second fault.
        purge = await recorded_purge(metadata, start)
    purge_record = "" if purge is None else purge.record_id
    now = believable_time(chain.now, machine_milliseconds())
    faults += purge_faults(start, purge_record, sound, purge_time(purge, sound, now))
    faults += followed.others
    fault = fault or followed.fault_at_end
    faults += await _rows_outside(metadata, start) + walk.waiting.faults
    unaccounted = await _judge_erased(metadata, walk, follower, fault, faults)
    unsealed = await metadata.audit.unsealed_count()
    verdict = make_verdict(chain.chain_id, start, follower, fault, faults, unsealed, unaccounted)
    return await _with_long_wait(metadata, verdict, walk.waiting)


async def _without_chain(metadata: Metadata, checkpoints: Sequence[CheckpointRow]) -> AuditVerdict:
    """Judge a database in which nothing was sealed, or that says so."""
    faults = [
        Fault(FaultKind.TRUNCATED, 0, "", f"there are no records, but a checkpoint tells of {kept.sequence}")
        for kept in checkpoints[:1]
    ]
    waiting = WaitingRows()
    await waiting.read(metadata)
    faults += await _rows_outside(metadata, END_OF_TIME) + waiting.faults
    unsealed = await metadata.audit.unsealed_count()
    verdict = AuditVerdict("", 0, 0, 0, 0, unsealed, 0, tuple(faults))
    return await _with_long_wait(metadata, verdict, waiting)


async def _judge_erased(
    metadata: Metadata, walk: DatabaseWalk, follower: ChainFollower, fault: Fault | None, faults: list[Fault]
) -> int:
    """Return how many records no erasure explains, and add that they are; only proven erasures do."""
    recorded = walk.erasures
    if fault is not None and follower.erased.unexplained - recorded:
        # As with a purge's record: what lies behind the fault may explain them.
        recorded |= await recorded_erasures(metadata, follower.erased.unexplained)
    unaccounted = follower.erased.unaccounted(recorded)
    if unaccounted:
        message = f"{unaccounted} records have no personal data, and no record of an erasure tells why"
        faults.append(Fault(FaultKind.DISCLOSURE, *follower.erased.first_unaccounted(recorded), message))
    return unaccounted


async def _rows_outside(metadata: Metadata, purged: int) -> list[Fault]:
    """Return the rows that no walk over the chain reaches, and of those that wait for it what lists do not show."""
    faults: list[Fault] = []
    for row in await metadata.audit.rows_outside(purged, _MOST_NAMED):
        if row.sequence is not None and row.sequence <= purged:
            message = f"its place {row.sequence} lies before the beginning of the chain: nobody sealed it"
            faults.append(Fault(FaultKind.STRAY, row.sequence, row.record_id, message))
        elif row.sequence is None:
            message = f"its number {row.id} hides it from lists"
            faults.append(Fault(FaultKind.STRAY, 0, row.record_id, message))
    return faults


async def _with_long_wait(metadata: Metadata, verdict: AuditVerdict, waiting: WaitingRows) -> AuditVerdict:
    """Have the verdict tell of a record that waits for a sealer much longer than one takes."""
    oldest, now = waiting.oldest, await metadata.diagnosis.clock_milliseconds()
    if oldest is None or now - oldest.at < _LONG_WAIT_MILLISECONDS:
        return verdict
    return msgspec.structs.replace(verdict, waiting_since=oldest.at, waiting_record=oldest.record_id)
