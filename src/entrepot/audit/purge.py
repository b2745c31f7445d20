"""Removes old records from the beginning of the chain, which from then on begins with the link of the last one."""

from __future__ import annotations

from contextlib import aclosing
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.applied_settings import settings_to_keep
from entrepot.audit.chain import ALGORITHM, chain_start
from entrepot.audit.checkpoints import checkpoint_pages
from entrepot.audit.errors import AuditRetentionError
from entrepot.audit.proof import verify_checkpoints
from entrepot.audit.purge_mark import believable_time
from entrepot.audit.signed_times import DAY_MILLISECONDS, LEAST_DAYS, SignedTimes
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.auth.principals import Principal
    from entrepot.metadata.audit_store import ChainState
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["AuditPurge", "PurgePlan"]

_BATCH: Final = 500


class PurgePlan(msgspec.Struct, frozen=True):
    """Which records go: `records` of them, up to the sequence `last`.

    Attributes:
        held_by: the sequence of the checkpoint that keeps what it covers, since it was not signed long enough ago, and
            `held_at` the time that it has, in milliseconds; 0 where no checkpoint does.
        held_is_ahead: whether that time is still to come.
        unsigned: how many records stay since no checkpoint covers them.
    """

    records: int
    first: int
    last: int
    held_by: int = 0
    held_at: int = 0
    held_is_ahead: bool = False
    unsigned: int = 0


class AuditPurge:
    """Purges for the operator of the host; nobody may over the network."""

    def __init__(
        self,
        metadata: Metadata,
        retention_days: int,
        on_checkpoints: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Take the store and the setting `audit_log.retention_days`.

        `on_checkpoints` is told how many were verified, as they are: each that is left takes a fraction of a
        millisecond, which of a year makes half a minute.
        """
        self._metadata = metadata
        self._on_checkpoints = on_checkpoints
        self._least = max(LEAST_DAYS, retention_days)

    async def plan(self, older_than_days: int) -> PurgePlan:
        """Return what a purge would remove: what was covered by a checkpoint that is old enough.

        A record is no younger than its checkpoint, whatever its own time says, which may be by a node's wrong clock.
        And whoever verifies tells a purge from a cut by the times of checkpoints, by the same rules. Only where none
        was ever signed do the records' times count.

        Raises:
            AuditRetentionError: records of these days have to be kept.
            MetadataError: the database can't be read.
        """
        if older_than_days < self._least:
            raise AuditRetentionError(older_than_days, self._least)
        chain = await self._metadata.audit.chain()
        if chain is None:
            return PurgePlan(0, 0, 0)
        # A database whose clock is ahead of this machine's has nothing removed that is young by this one.
        before = believable_time(chain.now, machine_milliseconds()) - older_than_days * DAY_MILLISECONDS
        if await self._metadata.audit.last_checkpoint() is None:
            last = await self._last_dated_before(chain.purged_sequence, before)
            return PurgePlan(last - chain.purged_sequence, chain.purged_sequence + 1, last)
        return await self._plan_by_signatures(chain, before)

    async def _plan_by_signatures(self, chain: ChainState, before: int) -> PurgePlan:
        """Return what was signed before a time."""
        start = chain.purged_sequence
        times, signed = SignedTimes(), start
        async with aclosing(checkpoint_pages(self._metadata, start + 1)) as pages:
            async for page in pages:
                sound, _ = verify_checkpoints(chain.chain_id, page, ())
                times.take(sound)
                signed = max((one.sequence for one in sound), default=signed)
                self._on_checkpoints(len(page))
        last = min(times.last_before(before) or start, chain.sequence)
        held_by, held_at = times.first_since(before) or (0, 0)
        unsigned = max(0, chain.sequence - signed)
        return PurgePlan(last - start, start + 1, last, held_by, held_at, held_at > chain.now, unsigned)

    async def _last_dated_before(self, last: int, before: int) -> int:
        """Return the last of the records behind `last` before the first one that is not of before a time."""
        while links := await self._metadata.audit.links(last, _BATCH):
            old = list(takewhile(lambda link: link.at < before, links))
            if old:
                last = old[-1].sequence
            if len(old) < len(links):
                break
        return last

    async def run(self, operator: Principal, older_than_days: int) -> PurgePlan:
        """Remove what :meth:`plan` says, in several units; the first one records it.

        Raises:
            AuditRetentionError: records of these days have to be kept.
            MetadataError: the database failed; what was removed by then is gone, and the chain is whole.
        """
        plan = await self.plan(older_than_days)
        if plan.records == 0:
            return plan
        # What only these records tell, and nodes compare with at their next start.
        kept = await settings_to_keep(self._metadata, plan.last)
        record = audit_record(
            operator,
            AuditAction.AUDIT_PURGE,
            AuditObject("audit-log", ""),
            before={"first": plan.first},
            after={"first": plan.last + 1, "older_than_days": older_than_days}
            | ({"settings": msgspec.to_builtins(kept)} if kept else {}),
        )

        async def unit(tx: Transaction) -> ChainState:
            chain = await tx.audit_chain.hold(new_public_id(), ALGORITHM, chain_start(ALGORITHM, ""))
            links = await tx.audit_chain.links(chain.purged_sequence, _BATCH)
            going = [link for link in links if link.sequence <= plan.last]
            if going:
                await tx.audit.append(record)
                await tx.audit_chain.purge(going[0].sequence, going[-1])
            return chain

        purged = plan.first - 1
        while purged < plan.last:
            purged = min((await self._metadata.write(unit)).purged_sequence + _BATCH, plan.last)
            reach(Failpoint.AUDIT_PURGED)
        return plan
