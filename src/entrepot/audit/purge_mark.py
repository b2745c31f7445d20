"""Accounts for where the log begins: whoever owns the database could move that, and have a cut pass for a purge.

A purge goes no further than a checkpoint that is as old as what it removes. So a kept checkpoint of a purged record
that is younger proves a cut, unless it is shown to be dated ahead (:mod:`.signed_times`), and so does a mark that no
record of a purge reaches.

How old it was counts when it was purged, which after a clock was set back (F27) is later than now. That time is the
record's word, which whoever owns the database may have made up. So it counts only so far ahead, and no further than
what was signed next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.acts_on_record import acts_on_record
from entrepot.audit.checkpoint_format import signed_at
from entrepot.audit.proof import Fault, FaultKind
from entrepot.audit.signed_times import (
    DAY_MILLISECONDS,
    LEAST_DAYS,
    MOST_APART_MILLISECONDS,
    SignedTimes,
)
from entrepot.auth.audit_actions import AuditAction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.metadata.audit_store import AuditRow, CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["believable_time", "purge_faults", "purge_time", "recorded_purge", "removes_record"]

_LEAST_MILLISECONDS: Final = LEAST_DAYS * DAY_MILLISECONDS
_MOST_SET_BACK_MILLISECONDS: Final = MOST_APART_MILLISECONDS
"""Before anything is signed behind it, a record that is made up gains as much, of 180 days."""


class _Beginning(msgspec.Struct, frozen=True):
    first: int


class _Change(msgspec.Struct, frozen=True):
    before: _Beginning
    after: _Beginning


class _Body(msgspec.Struct, frozen=True):
    change: _Change


async def recorded_purge(metadata: Metadata, purged: int) -> AuditRow | None:
    """Return the record of the purge that removed the record `purged`, `None` without one.

    A purge that was killed recorded more than it removed. That record is never missing: only a later purge can remove
    it, and moves the mark to where a record of its own says.

    Raises:
        MetadataError: the database can't be read.
    """
    if purged <= 0:
        return None
    async for row in acts_on_record(
        metadata, AuditAction.AUDIT_PURGE, lambda row: removes_record(row.body, purged)
    ):
        return row
    return None


def removes_record(body: bytes, sequence: int) -> bool:
    """Tell whether a purge, by the body of its record, removes the record of this sequence."""
    try:
        change = msgspec.json.decode(body, type=_Body).change
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return change.before.first <= sequence < change.after.first


def purge_time(record: AuditRow | None, checkpoints: Iterable[CheckpointRow], now: int) -> int:
    """Return when the log may have begun to begin where it does, in milliseconds: now, or later by a clock set back.

    Args:
        record: of the purge, where there is one.
        checkpoints: whose signatures were verified. The first that covers the record was signed later than it was
            made; those behind may be earlier, where the clock was put right between.
        now: by the database's clock.
    """
    if record is None:
        return now
    times = [record.at, now + _MOST_SET_BACK_MILLISECONDS]
    if record.sequence is not None:
        behind = [(one.sequence, signed_at(one)) for one in checkpoints if one.sequence >= record.sequence]
        times += [at for _, at in sorted(behind)[:1]]
    return max(now, min(times))


def believable_time(made_at: int, node_at: int) -> int:
    """Return what time it was, in milliseconds, as far as a process bears out what the database says.

    The database's word is a clock. `node_at` is 0 for an export of a program that did not tell.
    """
    return min(made_at, node_at + _MOST_SET_BACK_MILLISECONDS) if node_at else made_at


def purge_faults(purged: int, record_id: str, checkpoints: Iterable[CheckpointRow], at: int) -> list[Fault]:
    """Return what is wrong with a log whose records up to `purged` are gone.

    Args:
        record_id: of the record that tells of it, empty without one.
        checkpoints: whose signatures were verified, wherever they were kept, also of records that are there.
        at: the time in milliseconds at which the log began there.
    """
    if purged <= 0:
        return []
    faults: list[Fault] = []
    young = SignedTimes(checkpoints).first_since(at - _LEAST_MILLISECONDS + 1, purged)
    if young is not None:
        message = (
            f"the log begins behind record {purged}, but this one was signed less than {LEAST_DAYS} days before: "
            "its beginning was cut off, which no purge does"
        )
        faults.append(Fault(FaultKind.TRUNCATED, young[0], "", message))
    if not record_id:
        message = f"the log begins behind record {purged}, and no record of a purge tells why"
        faults.append(Fault(FaultKind.TRUNCATED, purged, "", message))
    return faults
