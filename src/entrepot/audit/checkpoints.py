"""Signs the end of the chain from time to time and lets the signature leave the database: to a file and to the log.

A chain alone proves nothing against somebody who can write to the database and makes it anew. A signed end that lies
elsewhere does: the chain has to lead to it.

Rows of checkpoints are such writing, too: one that was made up must not have the end of the chain pass for signed. So
only what one of our keys signed, and the chain leads to, counts for when to sign next.

The row comes first and the file behind it, so that no file tells of what the database never had. What ends a process in
between, or fills the disk, leaves a row without its file; a later run writes it. However many these are, as on a new
node of an old registry, none of them holds up the next signature, or another process that has one to file.
Only what a key of ours signed has a file, also one that was revoked since.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.audit.checkpoint_files import write_new
from entrepot.audit.checkpoint_format import (
    CheckpointContent,
    encode_checkpoint,
    encode_content,
    name_of_signed,
    signed_at,
)
from entrepot.audit.checkpoint_judge import CheckpointJudge, Refusal
from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.audit_store import CheckpointRow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from entrepot.audit.signing import CheckpointSigner
    from entrepot.metadata.audit_store import ChainState
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["Checkpoints", "SignedChain", "all_checkpoints", "checkpoint_pages"]

_log: Any = structlog.get_logger()

_MILLISECONDS: Final = 1000
_BATCH: Final = 50
"""Files written under one hold of the directory: others wait for it, a second where each takes 20 ms."""
_PAGE: Final = 500
_FILING_SECONDS: Final = 3.0
"""How long a run writes files of the past; what is left is a later run's, after the end was signed when that is due."""
_REMEDY: Final = (
    "somebody else than the registry wrote to its database: find out who may, keep this line and the files of "
    "checkpoints, and run entrepot audit verify --database --checkpoints with those that were shipped"
)


@dataclass(frozen=True, slots=True)
class SignedChain:
    """The chain and up to where it is signed.

    Attributes:
        chain: `None` before the first record was sealed.
        last: the last checkpoint at or before its end that the registry signed, and that the chain leads to.
        refused: rows of later places, made up by whoever owns the database.
    """

    chain: ChainState | None
    last: CheckpointRow | None
    refused: Sequence[Refusal] = ()


class Checkpoints:
    """Signs when it is time to."""

    def __init__(self, metadata: Metadata, signer: CheckpointSigner, directory: Path) -> None:
        """Take `<data>/audit/checkpoints`, which is made when it is needed."""
        self._metadata = metadata
        self._signer = signer
        self._directory = directory
        self._judge = CheckpointJudge(metadata, signer.owns)
        self._signed_here = -math.inf
        """When this process signed last, by a clock that nobody sets."""
        self._good: CheckpointRow | None = None
        """The last one that was found to be the registry's: it is not judged again at each look."""
        self._furthest = 0
        """The greatest sequence of those, and since when this process knows it, by that clock."""
        self._furthest_since = time.monotonic()
        self._told_at = -math.inf
        self._filed = 0
        """Up to which sequence every checkpoint has its file here."""

    async def run(self, period_seconds: int) -> bool:
        """Sign the end of the chain when it has grown and the last time is long enough ago; return whether it was.

        Also writes the files of checkpoints that have none here, whoever signed them: its own first, of others as many
        as a few seconds take.

        Raises:
            MetadataError: the database can't be read or written.
            EntrepotError: there is no key to sign with.
            OSError: a file can't be written; the database has its checkpoint, and a later call writes it.
        """
        found = await self.look()
        self._tell(found.refused, period_seconds)
        signed = await self._sign_end(found, period_seconds)
        if signed is not None:
            await self._file([signed], signed.sequence)
            # Somebody else may have signed a later end meanwhile, or an older copy of the database took its place.
            self._filed = min(self._filed, signed.sequence - 1)
        if found.chain is not None:
            await self._write_missing(0 if signed is None else signed.sequence, found.chain.sequence)
        return signed is not None

    async def look(self) -> SignedChain:
        """Return up to where the chain is signed, passing over rows that prove nothing.

        Raises:
            MetadataError: the database can't be read.
        """
        # The chain is read behind the checkpoint, so that its end is not before one that another node just signed.
        newest = await self._metadata.audit.last_checkpoint()
        chain = await self._metadata.audit.chain()
        if chain is None or newest is None:
            return SignedChain(chain, None)
        found = SignedChain(chain, newest)
        if not await self._is_good(newest, chain):
            found = await self._look_back(chain)
        if found.last is not None:
            self._note(found.last)
        return found

    async def _sign_end(self, found: SignedChain, period_seconds: int) -> CheckpointRow | None:
        chain = found.chain
        if chain is None or not self._is_due(chain, found.last, period_seconds):
            return None
        checkpoint = await self._sign(chain, found.last)
        in_its_place = [one.row for one in found.refused if one.row.sequence == checkpoint.sequence]

        async def unit(tx: Transaction) -> bool:
            for row in in_its_place:
                await tx.audit_chain.remove_checkpoint(row)
            return await tx.audit_chain.add_checkpoint(checkpoint)

        self._signed_here = time.monotonic()
        if not await self._metadata.write(unit):
            return None
        self._good = checkpoint
        self._furthest, self._furthest_since = checkpoint.sequence, self._signed_here
        reach(Failpoint.AUDIT_CHECKPOINT_ADDED)
        _log.info("audit.checkpoint.signed", **_facts(checkpoint))
        return checkpoint

    async def _write_missing(self, just_signed: int, last: int) -> None:
        """Write the files of checkpoints up to `last` that have none; of past ones once in the life of a process."""
        began_at = time.monotonic()
        while page := await self._metadata.audit.checkpoints(self._filed + 1, _BATCH):
            inside = [row for row in page if row.sequence <= last]
            # What a stranger signed would accuse the log for ever, wherever such files are kept for good.
            ours = [row for row in inside if not await self._judge.is_strangers(row)]
            await self._file(ours, just_signed)
            self._filed = inside[-1].sequence if inside else self._filed
            if len(inside) < len(page) or time.monotonic() - began_at >= _FILING_SECONDS:
                return

    async def _file(self, checkpoints: Sequence[CheckpointRow], just_signed: int) -> None:
        for written in await asyncio.to_thread(write_new, self._directory, checkpoints):
            if written.sequence != just_signed:
                _log.info("audit.checkpoint.filed", **_facts(written))

    def _is_due(self, chain: ChainState, last: CheckpointRow | None, period_seconds: int) -> bool:
        if last is None:
            return chain.sequence > 0
        if chain.sequence <= last.sequence:
            return False
        if time.monotonic() - self._furthest_since >= period_seconds:
            return True  # whatever the database's clock says, which may stand still
        at = signed_at(last)
        if at > chain.now:
            # The clock was ahead and was set back (F27): how long ago that was, nobody knows any more.
            return time.monotonic() - self._signed_here >= period_seconds
        return chain.now - at >= period_seconds * _MILLISECONDS

    def _note(self, last: CheckpointRow) -> None:
        if last.sequence > self._furthest:
            self._furthest, self._furthest_since = last.sequence, time.monotonic()

    async def _look_back(self, chain: ChainState) -> SignedChain:
        """Find the last good one where the newest row is none, and which are in its way."""
        good = self._good
        if good is not None and await self._judge.reason_against(good, chain):
            good = None  # an older copy of the database took the place of the one that had it
        first, refused = (1 if good is None else good.sequence + 1), list[Refusal]()
        while page := await self._metadata.audit.checkpoints(first, _PAGE):
            for row in page:
                reason = await self._judge.reason_against(row, chain)
                if reason:
                    refused.append(Refusal(row, reason))
                else:
                    good, refused = row, []
            del refused[:-_PAGE]
            if page[-1].sequence > chain.sequence or len(page) < _PAGE:
                break
            first = page[-1].sequence + 1
        self._good = good
        return SignedChain(chain, good, refused)

    async def _is_good(self, row: CheckpointRow, chain: ChainState) -> bool:
        if row == self._good and row.sequence <= chain.sequence:
            return True
        if await self._judge.reason_against(row, chain):
            return False
        self._good = row
        return True

    def _tell(self, refused: Sequence[Refusal], period_seconds: int) -> None:
        """Log what was made up, once in a period, and whole: it may be gone when somebody looks."""
        now = time.monotonic()
        if not refused or now - self._told_at < period_seconds:
            return
        self._told_at = now
        last = refused[-1]
        _log.error(
            "audit.checkpoint.refused",
            sequence=last.row.sequence,
            reason=last.reason,
            rows=len(refused),
            signed=last.row.signed.decode("ascii", "backslashreplace"),
            signature=last.row.signature.hex(),
            key_id=last.row.key_id,
            remedy=_REMEDY,
        )

    async def _sign(self, chain: ChainState, last: CheckpointRow | None) -> CheckpointRow:
        content = CheckpointContent(
            1,
            chain.chain_id,
            chain.algorithm,
            chain.sequence,
            chain.chain_hash,
            chain.now,
            machine_milliseconds(),
            "" if last is None else name_of_signed(last.signed),
        )
        signed = encode_content(content)
        signature = await self._signer.sign(signed)
        return CheckpointRow(
            sequence=chain.sequence,
            chain_hash=chain.chain_hash,
            algorithm=signature.algorithm,
            key_id=signature.key_id,
            public_key=signature.public_key,
            signed=signed,
            signature=signature.signature,
            at=content.at,
        )


async def all_checkpoints(metadata: Metadata, first: int = 1) -> Sequence[CheckpointRow]:
    """Return the checkpoints of a database of sequences from `first` on.

    Raises:
        MetadataError: the database can't be read.
    """
    found: list[CheckpointRow] = []
    async with aclosing(checkpoint_pages(metadata, first)) as pages:
        async for page in pages:
            found += page
    return found


async def checkpoint_pages(metadata: Metadata, first: int) -> AsyncGenerator[Sequence[CheckpointRow], None]:
    """Yield the same as :func:`all_checkpoints`, a few hundred at a time: there may be 100,000 of a year.

    Raises:
        MetadataError: the database can't be read.
    """
    while page := await metadata.audit.checkpoints(first, _PAGE):
        yield page
        if len(page) < _PAGE:
            return
        first = page[-1].sequence + 1


def _facts(checkpoint: CheckpointRow) -> dict[str, object]:
    """Return what the log tells of a checkpoint, which is all of it: the log is shipped off the host."""
    return {
        "sequence": checkpoint.sequence,
        "chain_hash": checkpoint.chain_hash,
        "checkpoint": encode_checkpoint(checkpoint).decode("ascii"),
    }
