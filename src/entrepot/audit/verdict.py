"""What a verification of the audit log found, put together from the chain that was followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.proof import Fault, FaultKind, uncovered_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.audit.proof import ChainFollower

__all__ = ["AuditVerdict", "make_verdict"]

_OF_THE_RECORD: Final = frozenset(
    {FaultKind.CHANGED, FaultKind.DISCLOSURE, FaultKind.REPLACED, FaultKind.STRAY}
)


class AuditVerdict(msgspec.Struct, frozen=True):
    """What a verification found.

    Attributes:
        records: how many followed one another soundly, from `first` to `last`.
        signed: up to which of them a signature proves the log, a checkpoint's or that of an export; 0 for none.
        unsealed: records of the database that wait for their place in the chain.
        erased: records without their personal data; what each of them says otherwise is proven all the same.
        unaccounted: those of them that no record of an erasure is known to explain.
        uncovered: the first and the last of the sound records behind `signed`, which are only chained; `None` for none.
        waiting_since: the time of the oldest record that waits to be sealed, in milliseconds, and `waiting_record` its
            id, where it waits for longer than a registry that runs takes.
        since: the times that an export is of, in milliseconds, and when it was begun; `None` for a database.
        is_key_unknown: whether an export is signed with a key that neither was given nor signed any of the checkpoints
            that were, though some were.
        is_dated_ahead: whether an export was begun later than now by the clock of the machine that verifies it. By that
            time old records count as purged and not cut off.
    """

    chain: str
    records: int
    first: int
    last: int
    signed: int
    unsealed: int
    erased: int
    faults: tuple[Fault, ...]
    uncovered: tuple[int, int] | None = None
    since: int | None = None
    until: int | None = None
    made_at: int | None = None
    unaccounted: int = 0
    waiting_since: int | None = None
    waiting_record: str = ""
    is_key_unknown: bool = False
    is_dated_ahead: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def make_verdict(
    chain_id: str,
    start: int,
    follower: ChainFollower,
    fault: Fault | None,
    others: Sequence[Fault],
    unsealed: int = 0,
    unaccounted: int = 0,
) -> AuditVerdict:
    """Put together what was found; a record that is in its place but says something else is not counted as sound."""
    last = follower.sequence
    if fault is not None and fault.kind in _OF_THE_RECORD:
        last = min(last, max(fault.sequence - 1, start))
    signed = min(follower.signed_sequence, last)
    return AuditVerdict(
        chain=chain_id,
        records=last - start,
        first=start + 1,
        last=last,
        signed=signed,
        unsealed=unsealed,
        erased=follower.erased.count,
        unaccounted=unaccounted,
        faults=(*(() if fault is None else (fault,)), *others),
        uncovered=uncovered_records(start, last, signed),
    )
