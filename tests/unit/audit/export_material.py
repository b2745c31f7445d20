"""An export of five records, made by hand, for tests that tamper with it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import msgspec

from entrepot.audit.chain import chain_start, link_hash
from entrepot.audit.checkpoint_format import CheckpointContent, encode_checkpoint
from entrepot.audit.export_format import (
    CheckpointLines,
    ExportEnd,
    ExportHeader,
    encode_line,
    encode_record,
    encode_signature,
)
from entrepot.audit.export_verification import verify_export as verify_lines
from entrepot.audit.proof import SealedRecord
from entrepot.metadata.audit_store import END_OF_TIME, CheckpointRow
from tests.running.audit_material import ALICE, BOB, KeyInMemory, pull_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.audit.proof import FaultKind
    from entrepot.audit.verdict import AuditVerdict

__all__ = [
    "AT",
    "CHAIN",
    "CHECKPOINT",
    "COUNT",
    "FIRST",
    "HEADER",
    "KEY",
    "LINES",
    "OPENING",
    "RECORDS",
    "SIGNED",
    "checkpoint_of",
    "end_of",
    "ending_of",
    "faults_of",
    "opening_of",
    "seal",
    "verify_export",
]

CHAIN = "c" * 32
KEY = KeyInMemory()
COUNT = 5
AT = 1_790_000_000_000


def seal(chain: str, count: int) -> list[SealedRecord]:
    """Return records in a chain of this name."""
    sealed: list[SealedRecord] = []
    link = chain_start("sha256", chain)
    for sequence in range(1, count + 1):
        made = pull_record(sequence, (ALICE, BOB)[sequence % 2], record_id=f"{sequence:032d}")
        link = link_hash("sha256", link, sequence, made.record_id, AT + sequence, made.body)
        sealed.append(SealedRecord(sequence, link, made.record_id, AT + sequence, made.body, made.disclosure))
    return sealed


def checkpoint_of(record: SealedRecord, chain: str = CHAIN, key: KeyInMemory = KEY) -> CheckpointRow:
    """Return the checkpoint of a record."""
    content = CheckpointContent(1, chain, "sha256", record.sequence, record.chain_hash, AT + 1000)
    signed = msgspec.json.encode(content)
    made = asyncio.run(key.sign(signed))
    return CheckpointRow(
        record.sequence,
        record.chain_hash,
        made.algorithm,
        made.key_id,
        made.public_key,
        signed,
        made.signature,
        AT + 1000,
    )


RECORDS = seal(CHAIN, COUNT)
HEADER = ExportHeader(
    format=4,
    chain=CHAIN,
    algorithm="sha256",
    after=0,
    after_hash=chain_start("sha256", CHAIN),
    last=COUNT,
    last_hash=RECORDS[-1].chain_hash,
    since=0,
    until=END_OF_TIME,
    made_at=AT + 2000,
    signed=COUNT,
    key_id="key-1",
)


def opening_of(header: ExportHeader, key: KeyInMemory = KEY) -> list[bytes]:
    """Return the line of a header and that of its signature."""
    line = encode_line(header)
    return [line + b"\n", encode_signature(asyncio.run(key.sign(line))) + b"\n"]


SIGNED = checkpoint_of(RECORDS[-1])


def end_of(
    opening: bytes,
    records: Sequence[SealedRecord] = RECORDS,
    unaccounted: int = 0,
    checkpoints: Sequence[CheckpointRow] = (SIGNED,),
) -> ExportEnd:
    """Return the end of an export with this first line, these checkpoints and these records."""
    which = hashlib.sha256()
    bare = [record.sequence for record in records if record.disclosure is None]
    which.update(b"".join(b"%d\n" % sequence for sequence in bare))
    header = hashlib.sha256(opening.removesuffix(b"\n")).hexdigest()
    lines = CheckpointLines()
    for checkpoint in checkpoints:
        lines.take(encode_checkpoint(checkpoint))
    return ExportEnd(
        len(records),
        len(records),
        header,
        len(bare),
        which.hexdigest(),
        unaccounted,
        key_id="key-1",
        checkpoints=lines.count,
        checkpoints_which=lines.which,
    )


def ending_of(end: ExportEnd, key: KeyInMemory = KEY) -> list[bytes]:
    """Return the line of an end and that of its signature."""
    line = encode_line(end)
    return [line + b"\n", encode_signature(asyncio.run(key.sign(line))) + b"\n"]


OPENING = opening_of(HEADER)
LINES = [
    *OPENING,
    *(line + b"\n" for line in (encode_checkpoint(SIGNED), *map(encode_record, RECORDS))),
    *ending_of(end_of(OPENING[0])),
]
CHECKPOINT = 2
"""The place of the checkpoint among the lines."""
FIRST = 3
"""The place of the first record among the lines."""


def verify_export(
    lines: Sequence[bytes], kept: Sequence[CheckpointRow], trusted: Sequence[bytes]
) -> AuditVerdict:
    """Verify a file of these lines, some of which were made without their line break."""
    return verify_lines([line.removesuffix(b"\n") + b"\n" for line in lines], kept, trusted)


def faults_of(lines: Sequence[bytes], *kept: CheckpointRow) -> list[tuple[FaultKind, int]]:
    """Return what is wrong with a file of these lines for who was given the key."""
    return [(fault.kind, fault.sequence) for fault in verify_export(lines, kept, [KEY.public_key]).faults]
