"""Writes a part of the audit log in a form that proves itself, for an auditor and for the archive.

The part is one piece of the chain that holds all records of the times asked for; records in between that are of other
times belong to it, or the chain would have a hole. It goes on to the first checkpoint that covers the last of them; one
is made for it, where there is none and that can be.

It also reaches every checkpoint that was signed before the end of these times and before the export was begun, whatever
the times of the records that this takes in: a note that comes in late is sealed behind records of later times. Whoever
verifies can't know the times of records that an export does not hold, only when a checkpoint was signed. So both go by
that, and an export that ends before such a checkpoint was cut.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.checkpoints import encode_checkpoint
from entrepot.audit.errors import AuditRangeEmptyError
from entrepot.audit.export_format import (
    FORMAT,
    ExportEnd,
    ExportHeader,
    encode_line,
    encode_record,
    encode_signature,
    sealed_record,
)
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from entrepot.audit.signed_end import EndSigner
    from entrepot.audit.signing import CheckpointSignature
    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.system_actions import ExportAuditLog
    from entrepot.metadata.audit_store import AuditRow, ChainState, CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["AuditExport", "BegunExport"]

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class BegunExport:
    """What an export will hold, and whose word that is; `signature` is `None` where the header says why."""

    header: ExportHeader
    signature: CheckpointSignature | None


class AuditExport:
    """Exports by times."""

    def __init__(self, metadata: Metadata, end: EndSigner) -> None:
        self._metadata = metadata
        self._end = end

    async def begin(self, grant: SystemGrant[ExportAuditLog], since: int, until: int) -> BegunExport:
        """Sign the end of the chain and return what an export of `since <= at < until` (milliseconds) will hold.

        That it is made is recorded first; what can't be recorded is not exported (I11).

        Raises:
            AuditRangeEmptyError: no sealed record is of these times.
            MetadataError: the database failed.
        """
        # Read first: the end that is signed next covers what others signed before this time; what they sign later is
        # not missing here.
        begun_at = await self._metadata.diagnosis.clock_milliseconds()
        unsigned_because = await self._end.sign()
        begun = await self._attest(await self._header(since, until, begun_at), unsigned_because)
        header = begun.header
        record = audit_record(
            grant.principal,
            AuditAction.AUDIT_EXPORT,
            AuditObject("audit-log", ""),
            after={"since": since, "until": until, "first": header.after + 1, "last": header.last},
        )
        await self._metadata.write(lambda tx: tx.audit.append(record))
        return begun

    async def lines(self, begun: BegunExport) -> AsyncGenerator[bytes]:
        """Yield the lines of an export that has begun.

        Raises:
            MetadataError: the database failed.
        """
        header = begun.header
        yield encode_line(header)
        if begun.signature is not None:
            yield encode_signature(begun.signature)
        for checkpoint in await self._checkpoints(header):
            yield encode_checkpoint(checkpoint)
        count, after = 0, header.after
        while after < header.last:
            rows = await self._metadata.audit.sealed(after, min(_BATCH, header.last - after))
            if not rows:
                break
            for line in await asyncio.to_thread(_encode_records, rows):
                yield line
            count += len(rows)
            after = rows[-1].sequence or header.last
        yield encode_line(ExportEnd(count, header.last))

    async def _attest(self, header: ExportHeader, unsigned_because: str) -> BegunExport:
        """Sign the header, or have it say why nobody does."""
        try:
            signature = await self._end.attest(encode_line(header))
        except (EntrepotError, OSError) as error:
            signature, unsigned_because = None, unsigned_because or str(error)
        if signature is None:
            header = msgspec.structs.replace(header, unsigned_because=unsigned_because)
        return BegunExport(header, signature)

    async def _header(self, since: int, until: int, begun_at: int) -> ExportHeader:
        audit = self._metadata.audit
        span = await audit.sequences_between(since, until)
        newest = await audit.last_checkpoint()
        # Behind the newest one: else a cut before it could pass for all that there was.
        made_at = begun_at if newest is None else max(begun_at, newest.at + 1)
        reached = await audit.last_checkpoint(min(until, made_at))
        # Read after the checkpoints, so that its end is not before theirs.
        chain = await audit.chain()
        if chain is None or span is None:
            raise AuditRangeEmptyError
        first, last = span
        if reached is not None:
            last = max(last, reached.sequence)
        ahead = next(iter(await audit.checkpoints(last, 1)), None)
        if ahead is not None:
            last = ahead.sequence
        last = min(last, chain.sequence)
        after, after_hash = await self._beginning(chain, first)
        (end,) = await audit.links(last - 1, 1)
        return ExportHeader(
            format=FORMAT,
            chain=chain.chain_id,
            algorithm=chain.algorithm,
            after=after,
            after_hash=after_hash,
            last=last,
            last_hash=end.chain_hash,
            since=since,
            until=until,
            made_at=made_at,
            signed=_signed(after, last, filter(None, (ahead, newest))),
        )

    async def _beginning(self, chain: ChainState, first: int) -> tuple[int, str]:
        """Return the link that the record `first` follows."""
        if first - 1 <= chain.purged_sequence:
            return chain.purged_sequence, chain.purged_hash
        (before,) = await self._metadata.audit.links(first - 2, 1)
        return before.sequence, before.chain_hash

    async def _checkpoints(self, header: ExportHeader) -> Sequence[CheckpointRow]:
        found: list[CheckpointRow] = []
        first = header.after + 1
        while page := await self._metadata.audit.checkpoints(first, _BATCH):
            found += [checkpoint for checkpoint in page if checkpoint.sequence <= header.last]
            if len(page) < _BATCH or page[-1].sequence > header.last:
                break
            first = page[-1].sequence + 1
        return found


def _encode_records(rows: Sequence[AuditRow]) -> list[bytes]:
    return [encode_record(sealed_record(row)) for row in rows]


def _signed(after: int, last: int, checkpoints: Iterable[CheckpointRow]) -> int:
    """Return the greatest sequence of these checkpoints in the part behind `after`, 0 without any."""
    inside = [checkpoint.sequence for checkpoint in checkpoints if after < checkpoint.sequence <= last]
    return max(inside, default=0)
