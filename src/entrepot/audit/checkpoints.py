"""Signs the end of the chain from time to time and lets the signature leave the database: to a file and to the log.

A chain alone proves nothing against somebody who can write to the database and makes it anew. A signed end that lies
elsewhere does: the chain has to lead to it.

Rows of checkpoints are such writing, too: one that was made up must not have the end of the chain pass for signed. So
only what one of our keys signed, and the chain leads to, counts for when to sign next.

The row comes first and the file behind it, so that no file tells of what the database never had. What ends a process in
between, or fills the disk, leaves a row without its file; a later run writes it. However many these are, as on a new
node of an old registry, none of them holds up the next signature, or another process that has one to file.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import math
import os
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from entrepot.audit.signatures import is_signed_by
from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.durable_directories import create_directory, sync_directory
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.audit_store import CheckpointRow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence
    from pathlib import Path

    from entrepot.audit.signing import CheckpointSigner
    from entrepot.metadata.audit_store import ChainState
    from entrepot.metadata.store import Metadata, Transaction

__all__ = [
    "CheckpointContent",
    "Checkpoints",
    "Refusal",
    "SignedChain",
    "all_checkpoints",
    "checkpoint_pages",
    "decode_checkpoint",
    "encode_checkpoint",
    "name_of_signed",
    "read_signed_content",
    "signed_at",
]

_log: Any = structlog.get_logger()

_MILLISECONDS: Final = 1000
_BATCH: Final = 50
"""Files written under one hold of the directory: others wait for it, a second where each takes 20 ms."""
_PAGE: Final = 500
_FILING_SECONDS: Final = 3.0
"""How long a run writes files of the past; what is left is a later run's, after the end was signed when that is due."""
_FILE_MODE: Final = 0o640
_REMEDY: Final = (
    "somebody else than the registry wrote to its database: find out who may, keep this line and the files of "
    "checkpoints, and run entrepot audit verify --database --checkpoints with those that were shipped"
)
_encoder: Final = msgspec.json.Encoder(order="deterministic")


class CheckpointContent(msgspec.Struct, frozen=True, rename={"chain_hash": "hash"}):
    """What is signed: which chain led to which link at which sequence, and when that was.

    Attributes:
        at: milliseconds since 1970 by the database's clock, whatever the checkpoint before says: nothing that is signed
            comes of a column that nobody signed. So times do not go up where that clock is set back (F27).
        node_at: when that was by the clock of the process, which is not the database's to say; 0 of former programs,
            which raised `at` above that of the checkpoint before.
        previous: what :func:`name_of_signed` makes of the checkpoint that was the newest in the database, empty without
            one and of former programs. So this one is shown to have been signed behind that.
    """

    v: int
    chain: str
    algorithm: str
    sequence: int
    chain_hash: str
    at: int
    node_at: int = 0
    previous: str = ""


class _CheckpointFile(msgspec.Struct, frozen=True):
    """A checkpoint as it leaves the database; bytes are base64."""

    type: str
    key_id: str
    algorithm: str
    public_key: str
    signed: str
    signature: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that counts for nothing, and why."""

    row: CheckpointRow
    reason: str


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
            await self._file(inside, just_signed)
            self._filed = inside[-1].sequence if inside else self._filed
            if len(inside) < len(page) or time.monotonic() - began_at >= _FILING_SECONDS:
                return

    async def _file(self, checkpoints: Sequence[CheckpointRow], just_signed: int) -> None:
        for written in await asyncio.to_thread(_write_new, self._directory, checkpoints):
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
        if good is not None and await self._reason_against(good, chain):
            good = None  # an older copy of the database took the place of the one that had it
        first, refused = (1 if good is None else good.sequence + 1), list[Refusal]()
        while page := await self._metadata.audit.checkpoints(first, _PAGE):
            for row in page:
                reason = await self._reason_against(row, chain)
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
        if await self._reason_against(row, chain):
            return False
        self._good = row
        return True

    async def _reason_against(self, row: CheckpointRow, chain: ChainState) -> str:
        """Return why a row does not tell that the chain was signed up to there, empty where it does."""
        if row.sequence > chain.sequence:
            return f"it lies beyond the end of the chain, which is {chain.sequence}"
        content = read_signed_content(row.signed)
        if content is None or content.chain != chain.chain_id or not _tells_what_was_signed(row):
            return "it is of another chain, or its columns are not what was signed"
        if not _is_signed(row):
            return "nobody signed it"
        if await self._link_at(row.sequence, chain) not in {"", row.chain_hash}:
            return "the chain has another link there"
        if not await self._signer.owns(row.key_id, row.public_key):
            return "its key is none of this registry's, or was revoked"
        return ""

    async def _link_at(self, sequence: int, chain: ChainState) -> str:
        """Return the link of a record, empty where that is gone."""
        if sequence == chain.sequence:
            return chain.chain_hash
        links = await self._metadata.audit.links(sequence - 1, 1)
        return links[0].chain_hash if links and links[0].sequence == sequence else ""

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
        signed = _encoder.encode(content)
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


def encode_checkpoint(checkpoint: CheckpointRow) -> bytes:
    """Return a checkpoint as one line of JSON, for files and exports."""
    return _encoder.encode(
        _CheckpointFile(
            type="checkpoint",
            key_id=checkpoint.key_id,
            algorithm=checkpoint.algorithm,
            public_key=base64.b64encode(checkpoint.public_key).decode("ascii"),
            signed=checkpoint.signed.decode("ascii"),
            signature=base64.b64encode(checkpoint.signature).decode("ascii"),
        )
    )


def decode_checkpoint(line: bytes) -> CheckpointRow | None:
    """Read what :func:`encode_checkpoint` wrote, `None` for anything else; it verifies nothing."""
    try:
        read = msgspec.json.decode(line, type=_CheckpointFile)
        public_key = base64.b64decode(read.public_key, validate=True)
        signature = base64.b64decode(read.signature, validate=True)
        signed = read.signed.encode("ascii")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # a plain ValueError is what base64 has for letters that are not ASCII
    content = read_signed_content(signed)
    if content is None:
        return None
    return CheckpointRow(
        sequence=content.sequence,
        chain_hash=content.chain_hash,
        algorithm=read.algorithm,
        key_id=read.key_id,
        public_key=public_key,
        signed=signed,
        signature=signature,
        at=content.at,
    )


def read_signed_content(signed: bytes) -> CheckpointContent | None:
    """Read the bytes that were signed, `None` for anything else."""
    try:
        return msgspec.json.decode(signed, type=CheckpointContent)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def name_of_signed(signed: bytes) -> str:
    """Return what the next checkpoint names the bytes by that were signed of one: SHA-256 (hex)."""
    return hashlib.sha256(signed).hexdigest()


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


def signed_at(checkpoint: CheckpointRow) -> int:
    """Return the time that was signed, in milliseconds: that of the row is for finding it."""
    content = read_signed_content(checkpoint.signed)
    return checkpoint.at if content is None else content.at


def _facts(checkpoint: CheckpointRow) -> dict[str, object]:
    """Return what the log tells of a checkpoint, which is all of it: the log is shipped off the host."""
    return {
        "sequence": checkpoint.sequence,
        "chain_hash": checkpoint.chain_hash,
        "checkpoint": encode_checkpoint(checkpoint).decode("ascii"),
    }


def _tells_what_was_signed(row: CheckpointRow) -> bool:
    content = read_signed_content(row.signed)
    return content is not None and (content.sequence, content.chain_hash) == (row.sequence, row.chain_hash)


def _is_signed(row: CheckpointRow) -> bool:
    return row.signed.isascii() and is_signed_by(row.public_key, row.algorithm, row.signed, row.signature)


def _write_new(directory: Path, checkpoints: Iterable[CheckpointRow]) -> list[CheckpointRow]:
    """Write the files that are not there; return of which checkpoints. Blocks.

    One process of a node at a time, or two would write one draft. What is there stays: what a database tells later, as
    an older copy of it does that goes another way, gets a name beside it.
    """
    create_directory(directory, 0o750)
    lock = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        written: list[CheckpointRow] = []
        for checkpoint in checkpoints:
            if not (_is_signed(checkpoint) and _tells_what_was_signed(checkpoint)):
                continue  # whoever verifies with these files would be told of it for ever
            content = encode_checkpoint(checkpoint) + b"\n"
            name = _free_name(directory, checkpoint, content)
            if name:
                _write(directory, name, content)
                written.append(checkpoint)
        return written
    finally:
        os.close(lock)


def _free_name(directory: Path, checkpoint: CheckpointRow, content: bytes) -> str:
    """Return the name for a checkpoint's file, empty where a file of its has this content."""
    place = f"{checkpoint.sequence:020d}"
    for name in (f"{place}.json", f"{place}-{checkpoint.chain_hash[:16]}.json"):
        try:
            if (directory / name).read_bytes() == content:
                return ""
        except FileNotFoundError:
            return name
        except PermissionError as error:
            # Made by a command that another user ran: it is there, and must not keep later ones from theirs.
            _log.warning("audit.checkpoint.unreadable", path=str(directory / name), reason=str(error))
            return ""
    return ""


def _write(directory: Path, name: str, content: bytes) -> None:
    """Write a file that is whole or not there, also after a power cut. Blocks."""
    draft = directory / f".{name}"
    with draft.open("wb") as file:
        os.fchmod(file.fileno(), _FILE_MODE)  # whatever the umask of who runs this is
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(directory / name)
    sync_directory(directory)
