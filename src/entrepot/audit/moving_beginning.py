"""Follows the chain in the database from where it begins, also while a purge moves its beginning.

A purge that overtakes the walk leaves a gap before it, as a cut does. So where there is one, and the log begins behind
it by now, the walk is made again from there. What it finds is judged by that beginning as if it had only begun then: a
cut that is made meanwhile gains nothing.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.audit.database_walk import DatabaseWalk
from entrepot.audit.proof import ChainFollower, Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.audit_store import ChainState, CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["FollowedChain", "follow_chain"]

_MOST_WALKS: Final = 5
_REST_SECONDS: Final = 0.5
"""A beginning that stays for so long is not moved by anything that is as fast as a walk."""
_PATIENCE_SECONDS: Final = 60.0
"""How long a purge is waited for before each further walk: some hundred thousand records go meanwhile."""


@dataclass(frozen=True, slots=True)
class FollowedChain:
    """What a walk over the chain found.

    Attributes:
        chain: as it was when the walk began; its beginning is the one that has to be accounted for.
        fault: the first one behind which nothing could be followed, `None` without one.
        fault_at_end: what is wrong with where the records end, if they could be followed to there.
        others: faults behind which the chain was followed all the same, also those of records that went meanwhile.
    """

    chain: ChainState
    follower: ChainFollower
    walk: DatabaseWalk
    fault: Fault | None
    fault_at_end: Fault | None
    others: Sequence[Fault]


async def follow_chain(
    metadata: Metadata, chain: ChainState, checkpoints: Sequence[CheckpointRow]
) -> FollowedChain:
    """Follow the chain to its end, from a later beginning when a purge overtakes the walk; a few times at most.

    Args:
        chain: as it was read before the checkpoints.
        checkpoints: whose signatures were verified.

    Raises:
        MetadataError: the database can't be read.
    """
    followed = await _walked(metadata, chain, checkpoints, ())
    for _ in range(_MOST_WALKS - 1):
        moved = await _moved(metadata, followed)
        if moved is None:
            break
        gone = [fault for fault in followed.others if fault.sequence <= moved.purged_sequence]
        followed = await _walked(metadata, moved, checkpoints, gone)
    return followed


async def _walked(
    metadata: Metadata, chain: ChainState, checkpoints: Sequence[CheckpointRow], gone: Sequence[Fault]
) -> FollowedChain:
    start = chain.purged_sequence
    follower = ChainFollower(
        chain.chain_id,
        chain.algorithm,
        start,
        chain.purged_hash,
        [checkpoint for checkpoint in checkpoints if checkpoint.sequence >= start],
    )
    walk = DatabaseWalk(metadata, follower)
    fault = await walk.run()
    at_end = await _fault_at_end(metadata, chain, follower) if fault is None else None
    return FollowedChain(chain, follower, walk, fault, at_end, (*gone, *walk.others))


async def _moved(metadata: Metadata, followed: FollowedChain) -> ChainState | None:
    """Return the chain with the beginning that a purge has moved it to, if that explains what the walk ran into."""
    fault, before = followed.fault or followed.fault_at_end, followed.chain
    if fault is None:
        return None
    # Read behind the records: a purge moves the beginning in the unit in which they go.
    chain = await metadata.audit.chain()
    is_same = chain is not None and chain.chain_id == before.chain_id and chain.sequence >= before.sequence
    if chain is None or not is_same or not _explains(chain, followed, fault):
        return None
    return await _rested(metadata, chain)


def _explains(chain: ChainState, followed: FollowedChain, fault: Fault) -> bool:
    """Whether all that is missing lies before the beginning of the chain."""
    ended = followed.follower.sequence
    if fault.kind is FaultKind.DROPPED:
        return ended < fault.sequence - 1 <= chain.purged_sequence
    return fault.kind is FaultKind.TRUNCATED and ended < chain.purged_sequence


async def _rested(metadata: Metadata, chain: ChainState) -> ChainState:
    """Return the chain when its beginning has stayed for a moment, or patience is at its end."""
    given_up_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < given_up_at:
        await asyncio.sleep(_REST_SECONDS)
        before, chain = chain, await metadata.audit.chain() or chain
        if chain.purged_sequence == before.purged_sequence:
            break
    return chain


async def _fault_at_end(metadata: Metadata, chain: ChainState, follower: ChainFollower) -> Fault | None:
    """Return what is wrong with where the records end: they have to end where the chain does."""
    if follower.sequence < chain.sequence:
        message = f"the chain has {chain.sequence} records, the rest is gone"
        return Fault(FaultKind.TRUNCATED, follower.sequence, "", message)
    # Read behind the records: what the registry added meanwhile moved it as well.
    now = await metadata.audit.chain()
    if now is not None and follower.sequence > now.sequence:
        beyond = await metadata.audit.sealed(now.sequence, 1)
        record_id = beyond[0].record_id if beyond else ""
        message = f"the chain has {now.sequence} records, and this one stands behind its end"
        return Fault(FaultKind.STRAY, now.sequence + 1, record_id, message)
    if now is not None and follower.sequence == now.sequence and follower.chain_hash != now.chain_hash:
        message = "the end of the chain is not the link of its last record"
        return Fault(FaultKind.CHANGED, follower.sequence, "", message)
    return follower.end()
