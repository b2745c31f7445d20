"""Gives records their places in the chain, in bounded batches; one sealer at a time, whoever it is.

The unit holds the row of the chain's end, so that of several nodes one seals while the others wait for their turn and
then find nothing left. There is no lease to lose: who holds the row is the sealer, and who dies lets go of it.

Records that were noted in files get their places when they are added, which spares writing their rows a second
time. Those of units that change something are sealed after the fact: no push waits for another node's hold of the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from entrepot.audit.chain import ALGORITHM, chain_start, link_hash
from entrepot.audit.errors import AuditPlacesTakenError
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.audit_store import SealedNewRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from entrepot.metadata.audit_store import ChainState, NewAuditRecord
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["NewChain", "Sealer", "add_sealed"]

_BATCH: Final = 500
"""Records a unit seals: about 10 ms of writing on SQLite."""


@dataclass(frozen=True, slots=True)
class NewChain:
    """What a chain begins with if there is none yet: made before the unit that needs it, which may run twice."""

    chain_id: str
    start: str

    @classmethod
    def make(cls) -> Self:
        """Return a beginning that no other chain has."""
        chain_id = new_public_id()
        return cls(chain_id, chain_start(ALGORITHM, chain_id))

    async def hold(self, tx: Transaction) -> ChainState:
        """Return the chain, held until the unit ends, to add records to it.

        Raises:
            AuditPlacesTakenError: there are records behind its end. To go on from them, or over them, could be what
                somebody wants who owns the database: people decide.
        """
        chain = await tx.audit_chain.hold(self.chain_id, ALGORITHM, self.start)
        for link in await tx.audit_chain.links(chain.sequence, 1):
            raise AuditPlacesTakenError(chain.sequence, link.sequence)
        return chain


async def add_sealed(tx: Transaction, beginning: NewChain, records: Sequence[NewAuditRecord]) -> None:
    """Add records that were dated when they were noted, with their places in the chain; none is added twice (I11).

    Records without a date are added all the same, for the sealer. Those that can't be linked are not: in their files
    they are safe, and as rows that nothing proves they could be removed by who owns the database.

    Raises:
        AuditPlacesTakenError: there are records behind the chain's end.
        UnknownChainAlgorithmError: a newer program made the chain, or somebody wants it to look so.
    """
    chain = await beginning.hold(tx)
    known = await tx.audit_chain.known([record.record_id for record in records])
    fresh = {record.record_id: record for record in records if record.record_id not in known}.values()
    sealed = list(_sealed(chain, fresh))
    if len(sealed) == len(fresh):
        await tx.audit_chain.extend(sealed)
    else:
        await tx.audit.extend(list(fresh))


def _sealed(chain: ChainState, records: Iterable[NewAuditRecord]) -> Iterator[SealedNewRecord]:
    """Yield records with their places in the chain, as far as they are dated."""
    link = chain.chain_hash
    for sequence, record in enumerate(records, chain.sequence + 1):
        at = record.at_milliseconds
        if at is None:
            return
        link = link_hash(chain.algorithm, link, sequence, record.record_id, at, record.body)
        yield SealedNewRecord(record, sequence, link)


def _places(chain: ChainState, contents: Iterable[tuple[str, int, bytes]]) -> Iterator[tuple[int, str]]:
    """Yield the sequence and the link of each record (id, time, body) that comes next in the chain."""
    link = chain.chain_hash
    for sequence, (record_id, at, body) in enumerate(contents, chain.sequence + 1):
        link = link_hash(chain.algorithm, link, sequence, record_id, at, body)
        yield sequence, link


class Sealer:
    """Seals what is unsealed."""

    def __init__(self, metadata: Metadata, batch: int = _BATCH) -> None:
        self._metadata = metadata
        self._batch = batch

    async def run(self) -> int:
        """Seal all records that are there now, and return how many these were.

        Raises:
            AuditPlacesTakenError: there are records behind the chain's end.
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
        beginning = NewChain.make()

        async def unit(tx: Transaction) -> int:
            chain = await beginning.hold(tx)
            records = await tx.audit_chain.unsealed(self._batch)
            places = _places(chain, ((record.record_id, record.at, record.body) for record in records))
            sealed = [(record.id, *place) for record, place in zip(records, places, strict=True)]
            await tx.audit_chain.seal(sealed)
            return len(sealed)

        sealed = await self._metadata.write(unit)
        reach(Failpoint.AUDIT_SEALED)
        return sealed
