"""Writes a part of the audit log in a form that proves itself, for an auditor and for the archive.

The part is one piece of the chain that holds all records of the times asked for; records in between that are of other
times belong to it, or the chain would have a hole. It goes on to the first checkpoint that covers the last of them; one
is made for it, where there is none and that can be.

It also reaches every checkpoint that was signed before the end of these times and before the export was begun, whatever
the times of the records that this takes in: a note that comes in late is sealed behind records of later times. Whoever
verifies can't know the times of records that an export does not hold, only when a checkpoint was signed. So both go by
that, and an export that ends before such a checkpoint was cut.

For the same reason it begins no later than behind the last checkpoint that was signed before these times by both its
clocks, whatever times the database says that records have: who owns that could say others, and the first ones were left
out. That checkpoint is in the export, which shows so itself where it may begin.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import structlog

from entrepot.audit.checkpoint_format import encode_checkpoint, signed_at
from entrepot.audit.erased_records import ErasedRecords
from entrepot.audit.erasure import recorded_erasures
from entrepot.audit.errors import AuditExportBrokenOffError
from entrepot.audit.export_format import (
    FORMAT,
    CheckpointLines,
    ExportEnd,
    ExportHeader,
    encode_line,
    encode_record,
    encode_signature,
    fingerprint,
    sealed_record,
)
from entrepot.audit.export_reach import earliest_time, latest_time, tells_when_begun
from entrepot.audit.purge_mark import recorded_purge
from entrepot.audit.sealer import NewChain
from entrepot.audit.sound_checkpoints import SoundCheckpoints, read_chain
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import AuditUnavailableError
from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.errors import EntrepotError
from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from entrepot.audit.proof import SealedRecord
    from entrepot.audit.signed_end import EndSigner
    from entrepot.audit.signing import CheckpointSignature
    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.system_actions import ExportAuditLog
    from entrepot.metadata.audit_store import AuditRow, ChainState, CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["AuditExport", "BegunExport"]

_log: Any = structlog.get_logger()

_BATCH: Final = 500
_BATCH_BYTES: Final = 256 * 1024
"""Of bodies and disclosures that are held at once; a record that is longer comes alone."""
_KEYS_IN_TURN: Final = 5
_PURGES_IN_TURN: Final = 5
_PATIENCE_SECONDS: Final = 3.0
"""For a first write. One that waits longer would have all that follow wait as long, each."""


_Part = TypeVar("_Part", ExportHeader, ExportEnd)


@dataclass(frozen=True, slots=True)
class BegunExport:
    """What an export will hold, and whose word that is; `signature` is `None` where the header says why.

    `checkpoints` reads those that were signed: with what was known of their keys when the export was begun.
    """

    header: ExportHeader
    signature: CheckpointSignature | None
    checkpoints: SoundCheckpoints


class AuditExport:
    """Exports by times."""

    def __init__(
        self, metadata: Metadata, end: EndSigner, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._metadata = metadata
        self._end = end
        self._patience_seconds = patience_seconds
        self._given_up: set[asyncio.Task[object]] = set()

    async def begin(self, grant: SystemGrant[ExportAuditLog], since: int, until: int) -> BegunExport:
        """Sign the end of the chain and return what an export of `since <= at < until` (milliseconds) will hold.

        That it is made is recorded first; what can't be recorded is not exported (I11).

        Raises:
            AuditUnavailableError: the database takes no writes, so this can't be recorded.
            AuditExportBrokenOffError: the records at its beginning or its end are gone.
            MetadataError: the database failed.
        """
        # Read first: the end that is signed next covers what others signed before this time; what they sign later is
        # not missing here.
        begun_at = await self._metadata.diagnosis.clock_milliseconds()
        await self._require_writes()
        unsigned_because = await self._end.sign()
        sound = SoundCheckpoints(self._metadata, self._end.owns)
        header, signature = await self._signed_header(
            await self._header(sound, since, until, begun_at), unsigned_because
        )
        record = audit_record(
            grant.principal,
            AuditAction.AUDIT_EXPORT,
            AuditObject("audit-log", ""),
            after={"since": since, "until": until, "first": header.after + 1, "last": header.last},
        )
        await self._metadata.write(lambda tx: tx.audit.append(record))
        newest = await sound.newest()
        if not unsigned_because and (newest is None or not tells_when_begun(header, newest)):
            # Nothing was new, or what is newest has another time, or a node with another clock signed it. That the
            # clocks showed these times is to be shown all the same, should what is signed next have an earlier one.
            await self._end.sign()
        return BegunExport(header, signature, sound)

    async def lines(self, begun: BegunExport) -> AsyncGenerator[bytes]:
        """Yield the lines of an export that has begun; memory does not grow with them.

        What breaks off in between has no last line, and is no export.

        Raises:
            AuditExportBrokenOffError: records are gone, as by a purge that overtook this.
            MetadataError: the database failed.
        """
        header = begun.header
        opening = encode_line(header)
        yield opening
        if begun.signature is not None:
            yield encode_signature(begun.signature)
        checkpoints = CheckpointLines()
        async for checkpoint in self._checkpoints(begun):
            line = encode_checkpoint(checkpoint)
            checkpoints.take(line)
            yield line
        begun.checkpoints.tell()
        count, erased = 0, ErasedRecords()
        async for records in self._records(header):
            for line in await asyncio.to_thread(_encode_records, records, erased):
                yield line
            count += len(records)
        unexplained = erased.unexplained
        recorded = await recorded_erasures(self._metadata, unexplained) if unexplained else frozenset[str]()
        end = ExportEnd(
            records=count,
            last=header.last,
            header=fingerprint(opening),
            erased=erased.count,
            erased_which=erased.which,
            unaccounted=erased.unaccounted(recorded),
            key_id="",
            checkpoints=checkpoints.count,
            checkpoints_which=checkpoints.which,
        )
        for line in await self._ending(begun, end):
            yield line

    async def _require_writes(self) -> None:
        """Find out in good time whether the database takes writes at all.

        Raises:
            AuditUnavailableError: it does not.
        """
        writing: asyncio.Task[object] = asyncio.create_task(self._metadata.write(NewChain.make().hold))
        await asyncio.wait({writing}, timeout=self._patience_seconds)
        if writing.done():
            writing.result()
            return
        # It changes nothing, whether it comes to its end or not.
        self._given_up.add(writing)
        writing.add_done_callback(self._forget)
        writing.cancel()
        raise AuditUnavailableError(
            f"the database took no write within {self._patience_seconds:g} s, and that an export is made is recorded "
            "first"
        )

    def _forget(self, writing: asyncio.Task[object]) -> None:
        self._given_up.discard(writing)
        if not writing.cancelled():
            writing.exception()

    async def _signed_header(
        self, header: ExportHeader, unsigned_because: str
    ) -> tuple[ExportHeader, CheckpointSignature | None]:
        """Sign the header, or have it say why nobody does."""
        signed, signature, reason = await self._signed(header)
        if signature is None:
            signed = msgspec.structs.replace(header, unsigned_because=unsigned_because or reason)
        return signed, signature

    async def _ending(self, begun: BegunExport, end: ExportEnd) -> Sequence[bytes]:
        """Return the last lines: what was written, and whose word that is, if the header is anybody's."""
        if begun.signature is None:
            return (encode_line(end),)
        # By the key of the first line, whatever was rotated meanwhile: who verifies was given that one.
        signed, signature, reason = await self._signed(
            msgspec.structs.replace(end, key_id=begun.signature.key_id)
        )
        if signature is None:
            return (encode_line(msgspec.structs.replace(end, unsigned_because=reason)),)
        return encode_line(signed), encode_signature(signature)

    async def _signed(self, part: _Part) -> tuple[_Part, CheckpointSignature | None, str]:
        """Return a part that names the key which signs it and the signature, or why there is none.

        Which key that is, only a signature tells: of another key, it is the name to sign next.
        """
        for _ in range(_KEYS_IN_TURN):
            signature, reason = await self._attest(encode_line(part), part.key_id or "")
            if signature is None or signature.key_id == part.key_id:
                return part, signature, reason
            part = msgspec.structs.replace(part, key_id=signature.key_id)
        return part, None, "its key was replaced again and again"

    async def _attest(self, line: bytes, key_id: str = "") -> tuple[CheckpointSignature | None, str]:
        """Return a line's signature, or why there is none."""
        try:
            return await self._end.attest(line, key_id), ""
        except (EntrepotError, OSError) as error:
            return None, str(error)

    async def _header(self, sound: SoundCheckpoints, since: int, until: int, begun_at: int) -> ExportHeader:
        audit = self._metadata.audit
        span = await audit.sequences_between(since, until)
        proven_before = await _proven_before(sound, since)
        newest = await sound.newest()
        made_at = await self._made_at(begun_at, newest)
        reached = await _reached(sound, until, made_at)
        # Read after the checkpoints, so that its end is not before theirs.
        chain, purge = await self._chain()
        # Without records of these times, it is the place in the chain behind which they would stand.
        place = chain.purged_sequence if reached is None else max(chain.purged_sequence, reached.sequence)
        first, last = (place + 1, place) if span is None else (span[0], max(span[1], place))
        ahead = None if span is None else await sound.first_from(last)
        if ahead is not None:
            last = ahead.sequence
        last = min(last, chain.sequence)
        first = min(first, proven_before + 1, last + 1)
        after, after_hash = await self._link(first - 1, chain)
        _, last_hash = await self._link(last, chain) if last > after else (after, after_hash)
        return ExportHeader(
            format=FORMAT,
            key_id="",
            chain=chain.chain_id,
            algorithm=chain.algorithm,
            after=after,
            after_hash=after_hash,
            last=last,
            last_hash=last_hash,
            since=since,
            until=until,
            made_at=made_at,
            node_at=machine_milliseconds(),
            signed=_signed(after, last, filter(None, (ahead, newest))),
            purged=chain.purged_sequence,
            purged_hash=chain.purged_hash,
            purge_record="" if purge is None else purge.record_id,
        )

    async def _chain(self) -> tuple[ChainState, AuditRow | None]:
        """Return the chain and the record of the purge that removed what came before it, `None` without one.

        A purge may remove the record of the one before while it is looked for. Its own tells where the log begins then.
        """
        for _ in range(_PURGES_IN_TURN):
            chain = await read_chain(self._metadata)
            purge = await recorded_purge(self._metadata, chain.purged_sequence)
            again = await self._metadata.audit.chain()
            if purge is not None or again is None or again.purged_sequence == chain.purged_sequence:
                return chain, purge
        raise MetadataUnavailableError("a purge of the audit log is under way")

    async def _made_at(self, begun_at: int, newest: CheckpointRow | None) -> int:
        """Return a time just behind the newest checkpoint: else a cut before it could pass for all that there was.

        That goes no further than the clock does. A checkpoint from when that was ahead (F27) would have this be later
        than all that are signed after it, which then proved nothing of this export.
        """
        if newest is None:
            return begun_at
        now = await self._metadata.diagnosis.clock_milliseconds()
        at = signed_at(newest)
        return max(begun_at, at + 1) if at <= now else min(begun_at, now)

    async def _link(self, sequence: int, chain: ChainState) -> tuple[int, str]:
        """Return the link of a record, or that with which the log begins where it was purged up to there.

        Raises:
            AuditExportBrokenOffError: it is gone.
        """
        if sequence <= chain.purged_sequence:
            return chain.purged_sequence, chain.purged_hash
        links = await self._metadata.audit.links(sequence - 1, 1)
        if not links or links[0].sequence != sequence:
            raise await self._broken_off(sequence, sequence)
        return sequence, links[0].chain_hash

    async def _checkpoints(self, begun: BegunExport) -> AsyncGenerator[CheckpointRow]:
        header = begun.header
        first = header.after + (header.after == header.purged)
        async with aclosing(begun.checkpoints.between(first, header.last)) as sound:
            async for checkpoint in sound:
                yield checkpoint

    async def _records(self, header: ExportHeader) -> AsyncGenerator[Sequence[SealedRecord]]:
        """Yield the records in batches of bounded bytes, each right behind the one before."""
        after = header.after
        while after < header.last:
            sizes = await self._metadata.audit.sealed_sizes(after, min(_BATCH, header.last - after))
            rows = await self._metadata.audit.sealed(after, _within(sizes, _BATCH_BYTES))
            records = [sealed_record(row) for row in rows]
            for place, record in enumerate(records, after + 1):
                if record.sequence != place:
                    raise await self._broken_off(place, record.sequence - 1)
            if not records:
                raise await self._broken_off(after + 1, header.last)
            yield records
            after += len(records)

    async def _broken_off(self, first: int, last: int) -> AuditExportBrokenOffError:
        """Return the error of who misses these records, which says whether a purge has removed them meanwhile."""
        # Read behind the records: a purge moves the beginning in the unit in which they go.
        chain = await self._metadata.audit.chain()
        by_purge = chain is not None and first <= last <= chain.purged_sequence
        error = AuditExportBrokenOffError(first, by_purge=by_purge)
        # Over the API nobody else is told: an answer that has begun can only break off.
        _log.error("audit.export.broken_off", first=first, by_purge=by_purge, reason=str(error))
        return error


async def _reached(sound: SoundCheckpoints, until: int, made_at: int) -> CheckpointRow | None:
    """Return the last checkpoint that was signed before the end of these times, by whichever of its two clocks.

    By their columns, which at worst hide checkpoints as deleting them does: those that were kept tell of either. The
    clocks of nodes have none, so what comes behind is read. One of a key that was revoked since is in no export, but
    whoever kept it asks for it all the same.
    """
    reached = await sound.newest(min(until, made_at), also_revoked=True)
    behind = 1 if reached is None else reached.sequence + 1
    later = await sound.last_of(lambda one: earliest_time(one) < until, behind, also_revoked=True)
    return later or reached


async def _proven_before(sound: SoundCheckpoints, since: int) -> int:
    """Return the sequence of the last checkpoint that was signed before these times by both its clocks, else 0.

    By its column first, as in :func:`_reached`: one that is hidden has the export begin earlier.
    """
    last = await sound.newest(since)
    if last is not None and latest_time(last) >= since:
        last = await sound.last_of(lambda one: latest_time(one) < since)
    return 0 if last is None else last.sequence


def _within(sizes: Sequence[int], most: int) -> int:
    """Return how many of the first of these are together no more than `most`, and one at least."""
    return max(1, sum(total <= most for total in accumulate(sizes)))


def _encode_records(records: Sequence[SealedRecord], erased: ErasedRecords) -> list[bytes]:
    for record in records:
        erased.take(record.sequence, record.record_id, record.body, record.disclosure)
    return [encode_record(record) for record in records]


def _signed(after: int, last: int, checkpoints: Iterable[CheckpointRow]) -> int:
    """Return the greatest sequence of these checkpoints in the part behind `after`, 0 without any."""
    inside = [checkpoint.sequence for checkpoint in checkpoints if after < checkpoint.sequence <= last]
    return max(inside, default=0)
