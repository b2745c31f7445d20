"""Walks over the chain as it lies in the database, while the registry may add to it, and notes what explains gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.audit.acts_on_record import is_success
from entrepot.audit.columns import column_fault
from entrepot.audit.export_format import sealed_record
from entrepot.audit.proof import Fault, FaultKind, check_disclosure
from entrepot.audit.purge_mark import removes_record
from entrepot.auth.audit_actions import AuditAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.audit.proof import ChainFollower
    from entrepot.metadata.audit_store import AuditRow
    from entrepot.metadata.store import Metadata

__all__ = ["DatabaseWalk", "WaitingRows"]

_BATCH: Final = 500


class WaitingRows:
    """What waits for the sealer, and lists show: nothing proves it yet, and it is soon part of the chain.

    Attributes:
        faults: rows that show something else than they would have sealed.
        oldest: the record that waits since the earliest time; `None` without any.
        sound: acts on the log itself, which explain what is missing from it.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.oldest: AuditRow | None = None
        self.sound: list[AuditRow] = []

    async def read(self, metadata: Metadata) -> None:
        """Look at all rows.

        Raises:
            MetadataError: the database can't be read.
        """
        after = 0
        while rows := await metadata.audit.waiting(after, _BATCH):
            for row in rows:
                self._take(row)
            after = rows[-1].id

    def _take(self, row: AuditRow) -> None:
        fault = column_fault(row) or check_disclosure(sealed_record(row))
        if fault is not None:
            self.faults.append(fault)
        elif _is_about_the_log(row):
            self.sound.append(row)
        if self.oldest is None or row.at < self.oldest.at:
            self.oldest = row


class DatabaseWalk:
    """Follows the chain once.

    Attributes:
        others: faults behind which the chain could be followed all the same.
        waiting: what was not in the chain when its end was reached.
    """

    def __init__(self, metadata: Metadata, follower: ChainFollower) -> None:
        self._metadata = metadata
        self._follower = follower
        self._last_id: int | None = None
        self._acts: list[AuditRow] = []
        self.others: list[Fault] = []
        self.waiting = WaitingRows()

    async def run(self) -> Fault | None:
        """Return the first fault behind which nothing can be followed.

        What is not sealed when it is looked at may be sealed right behind where the walk ended. So the walk goes on
        until nothing came in between: each act is then met in one of the two places.

        Raises:
            MetadataError: the database can't be read.
        """
        fault = self._follower.begin() or await self._follow()
        while True:
            ended, self.waiting = self._follower.sequence, WaitingRows()
            await self.waiting.read(self._metadata)
            fault = fault or await self._follow()
            if fault is not None or self._follower.sequence == ended:
                return fault

    @property
    def erasures(self) -> frozenset[str]:
        """The subjects whose erasure waits for the sealer; those in the chain the follower knows."""
        waiting = self.waiting.sound
        return frozenset(row.object_name for row in waiting if is_success(row, AuditAction.AUDIT_ERASE))

    def purge_of(self, sequence: int) -> AuditRow | None:
        """Return the record of the purge that removed the record `sequence`, `None` without one."""
        acts = (*self._acts, *self.waiting.sound)
        purges = (row for row in reversed(acts) if is_success(row, AuditAction.AUDIT_PURGE))
        return next((row for row in purges if removes_record(row.body, sequence)), None)

    async def _follow(self) -> Fault | None:
        while rows := await self._next_rows():
            for row in rows:
                fault = self._take(row)
                if fault is not None:
                    return fault
        return None

    async def _next_rows(self) -> Sequence[AuditRow]:
        """Return the next rows, and with them any that claims the place of the last one, which lists would show."""
        if self._last_id is None:
            return await self._metadata.audit.sealed(self._follower.sequence, _BATCH)
        rows = await self._metadata.audit.sealed(self._follower.sequence - 1, _BATCH)
        return [row for row in rows if row.id != self._last_id]

    def _take(self, row: AuditRow) -> Fault | None:
        """Follow the chain to a row.

        Where a checkpoint tells of another chain, what comes behind can be followed: after an honest restore that has
        to be judged as well.
        """
        if type(row.sequence) is not int:
            # A file of SQLite can be made anew without its types.
            message = f"its place {row.sequence!r} is none in a chain"
            return Fault(FaultKind.STRAY, self._follower.sequence + 1, row.record_id, message)
        fault = self._follower.take(sealed_record(row)) or column_fault(row)
        self._last_id = row.id
        if fault is None or fault.kind is FaultKind.REPLACED:
            if _is_about_the_log(row):
                self._acts.append(row)
            self.others += [] if fault is None else [fault]
            return None
        return fault


def _is_about_the_log(row: AuditRow) -> bool:
    return is_success(row, AuditAction.AUDIT_ERASE) or is_success(row, AuditAction.AUDIT_PURGE)
