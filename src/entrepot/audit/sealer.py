"""Gives records their places in the chain, in bounded batches; one sealer at a time, whoever it is.

The unit holds the row of the chain's end, so that of several nodes one seals while the others wait for their turn and
then find nothing left. There is no lease to lose: who holds the row is the sealer, and who dies lets go of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.audit.chain import ALGORITHM, chain_start, link_hash
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["Sealer"]

_BATCH: Final = 500
"""Records a unit seals: about 10 ms of writing on SQLite."""


class Sealer:
    """Seals what is unsealed."""

    def __init__(self, metadata: Metadata, batch: int = _BATCH) -> None:
        self._metadata = metadata
        self._batch = batch

    async def run(self) -> int:
        """Seal all records that are there now, and return how many these were.

        Raises:
            MetadataError: the database takes nothing.
            UnknownChainAlgorithmError: a newer program made the chain.
        """
        if not await self._metadata.audit.unsealed_count():
            return 0
        total = 0
        while True:
            sealed = await self._seal_batch()
            total += sealed
            if sealed < self._batch:
                return total

    async def _seal_batch(self) -> int:
        chain_id = new_public_id()
        start = chain_start(ALGORITHM, chain_id)

        async def unit(tx: Transaction) -> int:
            chain = await tx.audit_chain.hold(chain_id, ALGORITHM, start)
            records = await tx.audit_chain.unsealed(self._batch)
            sequence, link = chain.sequence, chain.chain_hash
            places: list[tuple[int, int, str]] = []
            for record in records:
                sequence += 1
                link = link_hash(chain.algorithm, link, sequence, record.record_id, record.at, record.body)
                places.append((record.id, sequence, link))
            await tx.audit_chain.seal(places)
            return len(places)

        sealed = await self._metadata.write(unit)
        reach(Failpoint.AUDIT_SEALED)
        return sealed
