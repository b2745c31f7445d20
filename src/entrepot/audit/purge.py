"""Removes old records from the beginning of the chain, which from then on begins with the link of the last one."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.applied_settings import settings_to_keep
from entrepot.audit.chain import ALGORITHM, chain_start
from entrepot.audit.errors import AuditRetentionError
from entrepot.audit.purge_mark import LEAST_DAYS
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
    from entrepot.metadata.audit_store import ChainState
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["AuditPurge", "PurgePlan"]

_DAY_MILLISECONDS: Final = 24 * 60 * 60 * 1000
_BATCH: Final = 500


class PurgePlan(msgspec.Struct, frozen=True):
    """Which records go: `records` of them, up to the sequence `last`."""

    records: int
    first: int
    last: int


class AuditPurge:
    """Purges for the operator of the host; nobody may over the network."""

    def __init__(self, metadata: Metadata, retention_days: int) -> None:
        """Take the store and the setting `audit_log.retention_days`."""
        self._metadata = metadata
        self._least = max(LEAST_DAYS, retention_days)

    async def plan(self, older_than_days: int) -> PurgePlan:
        """Return what a purge would remove: from the beginning of the chain up to the first record that is younger.

        No record goes whose checkpoint is younger: whoever verifies tells a purge from a cut by that. Only where none
        was ever signed do the records' times alone count.

        Raises:
            AuditRetentionError: records of these days have to be kept.
            MetadataError: the database can't be read.
        """
        if older_than_days < self._least:
            raise AuditRetentionError(older_than_days, self._least)
        chain = await self._metadata.audit.chain()
        if chain is None:
            return PurgePlan(0, 0, 0)
        before = chain.now - older_than_days * _DAY_MILLISECONDS
        last = chain.purged_sequence
        while links := await self._metadata.audit.links(last, _BATCH):
            old = list(takewhile(lambda link: link.at < before, links))
            if old:
                last = old[-1].sequence
            if len(old) < len(links):
                break
        last = max(chain.purged_sequence, min(last, await self._signed_before(before, last)))
        return PurgePlan(last - chain.purged_sequence, chain.purged_sequence + 1, last)

    async def _signed_before(self, before: int, otherwise: int) -> int:
        """Return up to where the chain was signed before a time."""
        audit = self._metadata.audit
        if await audit.last_checkpoint() is None:
            return otherwise
        checkpoint = await audit.last_checkpoint(before)
        return 0 if checkpoint is None else checkpoint.sequence

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
