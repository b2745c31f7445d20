"""The lines of an export: JSON objects, so that other programs can read them, with all that verifying them takes.

First a header that says which part of the chain this is and its signature, then the signed checkpoints of that part,
then the records, and at the end how many there were and which of them have no personal data any more, signed as well:
that is known only when the last record was read, since people's data may be erased meanwhile.

A record's line has the names of the Elastic Common Schema and, under `entrepot`, what was sealed; the former follows
from the latter, so whoever verifies makes the line again and compares.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from entrepot.audit.ecs import NO_RECORD, ecs_fields
from entrepot.audit.proof import SealedRecord, uncovered_records
from entrepot.audit.signing import CheckpointSignature

if TYPE_CHECKING:
    from entrepot.metadata.audit_store import AuditRow

__all__ = [
    "FORMAT",
    "FORMAT_BY_RECORDS",
    "FORMAT_WITHOUT_KEYS",
    "NODES_APART_MILLISECONDS",
    "CheckpointLines",
    "ExportEnd",
    "ExportHeader",
    "decode_record",
    "decode_signature",
    "encode_header_as",
    "encode_line",
    "encode_record",
    "encode_signature",
    "fingerprint",
    "sealed_record",
]

FORMAT: Final = 4
FORMAT_BY_RECORDS: Final = 3
"""As :data:`FORMAT`, but it begins with the first record of the times asked for, by what the database says of those."""
FORMAT_WITHOUT_KEYS: Final = 2
"""As :data:`FORMAT_BY_RECORDS`, but neither does a signed line name its key nor the end the checkpoints."""

NODES_APART_MILLISECONDS: Final = 10 * 60 * 1000
"""How far the clocks of two machines may be apart: what is less far apart has no order by them."""

_OF_LATER_PROGRAMS: Final = frozenset({"node_at", "purged", "purged_hash", "purge_record"})
"""What the headers of former programs did not tell, of one format or the other."""

_encoder: Final = msgspec.json.Encoder(order="sorted")


class ExportHeader(msgspec.Struct, frozen=True, tag="header", tag_field="type"):
    """Which part of which chain an export holds: what lies between the link `after` and the link `last`.

    It is signed, and so are with it all records up to `last_hash`: neither can they be made anew nor their end cut off.

    Attributes:
        since: the times that were asked for, in milliseconds; the chain may hold others in between and behind.
        made_at: when the export was begun, by the database's clock, or just behind the checkpoint that was made for it.
            Of former programs just behind the newest one, also where that was dated ahead.
        node_at: when that was by the clock of the process, which is not the database's to say; 0 where it is not told.
        signed: up to which record a checkpoint of this export proves it, 0 for none. It makes a checkpoint that was
            taken away missing.
        purged: the last record that a purge had removed, 0 for none, and `purged_hash` the link of it. The part begins
            there or later; `purge_record` is the id of the record that tells of the purge, empty where there is none.
        unsigned_because: why this header is not signed; empty when it is.
        key_id: the name of the key that signs this line, which its signature's own line only repeats.
    """

    format: int
    chain: str
    algorithm: str
    after: int
    after_hash: str
    last: int
    last_hash: str
    since: int
    until: int
    made_at: int
    node_at: int = 0
    signed: int = 0
    purged: int = 0
    purged_hash: str = ""
    purge_record: str = ""
    unsigned_because: str = ""
    key_id: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def uncovered(self) -> tuple[int, int] | None:
        """The first and the last record that no checkpoint of this export covers, `None` without any."""
        return uncovered_records(self.after, self.last, self.signed)

    @property
    def clocks_apart(self) -> int:
        """By how many milliseconds the process's clock contradicts the database's, 0 where it does not."""
        apart = abs(self.made_at - self.node_at) if self.node_at else 0
        return apart if apart > NODES_APART_MILLISECONDS else 0


class _Signature(msgspec.Struct, frozen=True, tag="signature", tag_field="type"):
    """Who signed the line before, without its line break; bytes are base64."""

    key_id: str
    algorithm: str
    public_key: str
    signature: str


class ExportEnd(msgspec.Struct, frozen=True, tag="end", tag_field="type"):
    """That nothing follows, and what was written. It is signed if the header is.

    Attributes:
        header: SHA-256 (hex) of the header's line, so that this can't be the end of another export.
        erased: how many records have no personal data; `erased_which` is SHA-256 of their sequences, as
            :attr:`.erased_records.ErasedRecords.which` makes it. Nobody takes such data out of an export unseen.
        unaccounted: for how many of these the whole log had no record of an erasure.
        unsigned_because: why this line is not signed though the header is; else empty.
        key_id: as in the header.
        checkpoints: how many lines of checkpoints there are, and `checkpoints_which` what :class:`CheckpointLines`
            makes of them.
    """

    records: int
    last: int
    header: str = ""
    erased: int = 0
    erased_which: str = ""
    unaccounted: int = 0
    unsigned_because: str = ""
    key_id: str | msgspec.UnsetType = msgspec.UNSET
    checkpoints: int | msgspec.UnsetType = msgspec.UNSET
    checkpoints_which: str | msgspec.UnsetType = msgspec.UNSET


class CheckpointLines:
    """Takes the lines of checkpoints in their order.

    Attributes:
        count: how many there were.
    """

    def __init__(self) -> None:
        self.count = 0
        self._hash = hashlib.sha256()

    def take(self, line: bytes) -> None:
        """Look at a line, given without its line break."""
        self.count += 1
        self._hash.update(line + b"\n")

    @property
    def which(self) -> str:
        """SHA-256 (hex) of the lines, each with a line feed."""
        return self._hash.hexdigest()


class _Sealed(msgspec.Struct, frozen=True):
    sequence: int
    hash: str
    record_id: str
    at: int
    body: str
    disclosure: str | None


class _RecordLine(msgspec.Struct, frozen=True):
    entrepot: _Sealed


def fingerprint(line: bytes) -> str:
    """Return what an end names the line of its header by."""
    return hashlib.sha256(line).hexdigest()


def encode_line(part: ExportHeader | ExportEnd) -> bytes:
    """Return the line of a header or an end, without the line break."""
    return _encoder.encode(part)


def encode_header_as(header: ExportHeader, line: bytes) -> bytes:
    """Return the line of a header that was read from a line, which may not tell what former programs did not."""
    parts: dict[str, object] = msgspec.to_builtins(header)
    left_out = {name for name in _OF_LATER_PROGRAMS if f'"{name}":'.encode() not in line}
    return _encoder.encode({name: part for name, part in parts.items() if name not in left_out})


def encode_signature(made: CheckpointSignature) -> bytes:
    """Return the line of the header's signature, without the line break."""
    public_key, signature = (
        base64.b64encode(part).decode("ascii") for part in (made.public_key, made.signature)
    )
    return _encoder.encode(_Signature(made.key_id, made.algorithm, public_key, signature))


def decode_signature(line: bytes) -> CheckpointSignature | None:
    """Read what :func:`encode_signature` wrote, `None` for anything else; it verifies nothing."""
    try:
        read = msgspec.json.decode(line, type=_Signature)
        public_key, signature = (
            base64.b64decode(part, validate=True) for part in (read.public_key, read.signature)
        )
    except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError):
        return None
    return CheckpointSignature(read.key_id, read.algorithm, public_key, signature)


def encode_record(record: SealedRecord) -> bytes:
    """Return the line of a record, without the line break.

    One that was tampered with so that it is no JSON any more has no fields: who verifies finds it by its hash.
    """
    try:
        fields: dict[str, Any] = ecs_fields(record.at, record.body, record.disclosure)
    except NO_RECORD:
        fields = {}
    fields["entrepot"] = _Sealed(
        sequence=record.sequence,
        hash=record.chain_hash,
        record_id=record.record_id,
        at=record.at,
        body=record.body.decode(errors="replace"),
        disclosure=None if record.disclosure is None else record.disclosure.decode(errors="replace"),
    )
    return _encoder.encode(fields)


def decode_record(line: bytes) -> SealedRecord | None:
    """Read what was sealed from a record's line, `None` for anything else."""
    try:
        sealed = msgspec.json.decode(line, type=_RecordLine).entrepot
        return SealedRecord(
            sequence=sealed.sequence,
            chain_hash=sealed.hash,
            record_id=sealed.record_id,
            at=sealed.at,
            body=sealed.body.encode(),
            disclosure=None if sealed.disclosure is None else sealed.disclosure.encode(),
        )
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def sealed_record(row: AuditRow) -> SealedRecord:
    """Return what of a sealed row goes into an export."""
    return SealedRecord(
        sequence=row.sequence or 0,
        chain_hash=row.chain_hash or "",
        record_id=row.record_id,
        at=row.at,
        body=row.body,
        disclosure=row.disclosure,
    )
