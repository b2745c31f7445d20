"""Verifies an audit log: an export without the registry, or the database it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from entrepot.audit.checkpoints import decode_checkpoint
from entrepot.audit.ecs import disclosed_values
from entrepot.audit.errors import AuditExportUnreadableError
from entrepot.audit.export_format import (
    FORMAT,
    ExportEnd,
    ExportHeader,
    decode_record,
    encode_record,
    sealed_record,
)
from entrepot.audit.proof import ChainFollower, Fault, FaultKind, uncovered_records, verify_checkpoints

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from entrepot.metadata.audit_store import AuditRow, CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["AuditVerdict", "verify_database", "verify_export"]

_BATCH: Final = 500
_OF_THE_RECORD: Final = frozenset({FaultKind.CHANGED, FaultKind.DISCLOSURE, FaultKind.REPLACED})


class AuditVerdict(msgspec.Struct, frozen=True):
    """What a verification found.

    Attributes:
        records: how many followed one another soundly, from `first` to `last`.
        signed: up to which of them a signed checkpoint proves the log; 0 for none.
        unsealed: records of the database that wait for their place in the chain.
        erased: records without their personal data; what each of them says otherwise is proven all the same.
        uncovered: the first and the last of the sound records behind `signed`, which are only chained; `None` for none.
        unsigned_because: what an export says of why its end is not signed.
    """

    chain: str
    records: int
    first: int
    last: int
    signed: int
    unsealed: int
    erased: int
    faults: tuple[Fault, ...]
    uncovered: tuple[int, int] | None = None
    unsigned_because: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify_export(
    lines: Iterable[bytes], checkpoints: Sequence[CheckpointRow], trusted: Sequence[bytes]
) -> AuditVerdict:
    """Verify the lines of an export, also against checkpoints that were kept elsewhere.

    Raises:
        AuditExportUnreadableError: this is no export.
    """
    remaining = iter(lines)
    header = _read_header(next(remaining, b""))
    return _ExportReading(header, checkpoints, trusted).read(remaining)


def _read_header(line: bytes) -> ExportHeader:
    try:
        header = msgspec.json.decode(line, type=ExportHeader)
        bytes.fromhex(header.after_hash)
    except (msgspec.MsgspecError, ValueError) as error:
        raise AuditExportUnreadableError("its first line is no header") from error
    if header.format != FORMAT:
        raise AuditExportUnreadableError(f"it has format {header.format}, this program knows {FORMAT}")
    return header


class _ExportReading:
    """One pass over an export. The first thing that is wrong with the chain ends it."""

    def __init__(
        self, header: ExportHeader, checkpoints: Sequence[CheckpointRow], trusted: Sequence[bytes]
    ) -> None:
        self._header = header
        self._trusted = trusted
        self._inside: list[CheckpointRow] = []
        self._outside, self._faults = verify_checkpoints(header.chain, checkpoints, trusted)
        self._follower: ChainFollower | None = None

    def read(self, lines: Iterable[bytes]) -> AuditVerdict:
        ended = False
        fault: Fault | None = None
        for line in lines:
            content = line.rstrip(b"\n")
            if self._follower is None and (checkpoint := decode_checkpoint(content)) is not None:
                self._inside.append(checkpoint)
                continue
            end = _read_end(content)
            fault = self._fault_at_end(end) if end is not None else self._take(content)
            ended = end is not None
            if fault is not None or ended:
                break
        if fault is None and not ended:
            fault = self._truncation("the export breaks off after this record")
        return self._verdict(fault)

    def _take(self, line: bytes) -> Fault | None:
        follower, wrong = self._following()
        if wrong is not None:
            return wrong
        record = decode_record(line)
        if record is None:
            message = "the line after the record before can't be read"
            return Fault(FaultKind.CHANGED, follower.sequence + 1, "", message)
        fault = follower.take(record)
        if fault is None and encode_record(record) != line:
            message = "its line says something else than what was sealed"
            return Fault(FaultKind.CHANGED, record.sequence, record.record_id, message)
        return fault

    def _following(self) -> tuple[ChainFollower, Fault | None]:
        """Return who follows the chain, once all checkpoints of the export are known."""
        if self._follower is not None:
            return self._follower, None
        header = self._header
        sound, faults = verify_checkpoints(header.chain, self._inside, self._trusted)
        self._faults += faults
        covered = [checkpoint for checkpoint in self._outside if self._is_covered(checkpoint)]
        self._follower = ChainFollower(
            header.chain, header.algorithm, header.after, header.after_hash, (*sound, *covered)
        )
        return self._follower, self._follower.begin()

    def _is_covered(self, checkpoint: CheckpointRow) -> bool:
        """Whether an export of these times, whole as :mod:`.export` makes it, reaches a checkpoint kept elsewhere."""
        header = self._header
        if checkpoint.sequence <= header.last:
            return checkpoint.sequence >= header.after
        return checkpoint.at < min(header.until, header.made_at)

    def _fault_at_end(self, end: ExportEnd) -> Fault | None:
        follower, wrong = self._following()
        if wrong is not None:
            return wrong
        if follower.sequence != self._header.last or end.last != self._header.last:
            return self._truncation("the header tells of more records than there are")
        return follower.end() or self._missing_signature(follower)

    def _missing_signature(self, follower: ChainFollower) -> Fault | None:
        """Return what is wrong when the export was signed further than what is there of it proves."""
        signed = self._header.signed or 0
        if self._faults or follower.signed_sequence >= signed:
            return None
        message = "the export was signed up to this record, but that checkpoint is gone or its records are"
        return Fault(FaultKind.SIGNATURE, signed, "", message)

    def _truncation(self, message: str) -> Fault:
        return Fault(FaultKind.TRUNCATED, self._following()[0].sequence, "", message)

    def _verdict(self, fault: Fault | None) -> AuditVerdict:
        header = self._header
        verdict = _verdict(header.chain, header.after, self._following()[0], fault, self._faults)
        because = header.unsigned_because if verdict.uncovered is not None else ""
        return msgspec.structs.replace(verdict, unsigned_because=because)


def _read_end(line: bytes) -> ExportEnd | None:
    try:
        return msgspec.json.decode(line, type=ExportEnd)
    except (msgspec.MsgspecError, UnicodeError):
        return None


async def verify_database(
    metadata: Metadata, checkpoints: Sequence[CheckpointRow], trusted: Sequence[bytes]
) -> AuditVerdict:
    """Verify all records of a database, also against checkpoints that were kept elsewhere.

    Raises:
        MetadataError: the database can't be read.
    """
    chain = await metadata.audit.chain()
    unsealed = await metadata.audit.unsealed_count()
    if chain is None:
        faults = [
            Fault(
                FaultKind.TRUNCATED, 0, "", f"there are no records, but a checkpoint tells of {kept.sequence}"
            )
            for kept in checkpoints[:1]
        ]
        return AuditVerdict("", 0, 0, 0, 0, unsealed, 0, tuple(faults))
    known = (*await _all_checkpoints(metadata), *checkpoints)
    sound, faults = verify_checkpoints(chain.chain_id, known, trusted)
    start = chain.purged_sequence
    follower = ChainFollower(
        chain.chain_id,
        chain.algorithm,
        start,
        chain.purged_hash,
        [checkpoint for checkpoint in sound if checkpoint.sequence >= start],
    )
    fault = follower.begin()
    while fault is None and (rows := await metadata.audit.sealed(follower.sequence, _BATCH)):
        fault = next(
            filter(None, (follower.take(sealed_record(row)) or _column_fault(row) for row in rows)), None
        )
    if fault is None and follower.sequence < chain.sequence:
        message = f"the chain has {chain.sequence} records, the rest is gone"
        fault = Fault(FaultKind.TRUNCATED, follower.sequence, "", message)
    fault = fault or follower.end()
    return _verdict(chain.chain_id, start, follower, fault, faults, unsealed)


def _verdict(
    chain_id: str,
    start: int,
    follower: ChainFollower,
    fault: Fault | None,
    others: Sequence[Fault],
    unsealed: int = 0,
) -> AuditVerdict:
    """Put together what was found; a record that is in its place but says something else is not counted as sound."""
    last = follower.sequence
    if fault is not None and fault.kind in _OF_THE_RECORD:
        last = min(last, max(fault.sequence - 1, start))
    signed = min(follower.signed_sequence, last)
    return AuditVerdict(
        chain=chain_id,
        records=last - start,
        first=start + 1,
        last=last,
        signed=signed,
        unsealed=unsealed,
        erased=follower.erased,
        faults=(*(() if fault is None else (fault,)), *others),
        uncovered=uncovered_records(start, last, signed),
    )


async def _all_checkpoints(metadata: Metadata) -> Sequence[CheckpointRow]:
    found: list[CheckpointRow] = []
    while page := await metadata.audit.checkpoints(found[-1].sequence + 1 if found else 1, _BATCH):
        found += page
        if len(page) < _BATCH:
            break
    return found


def _column_fault(row: AuditRow) -> Fault | None:
    """Compare what records are found by with what was sealed: a change there would hide them from searches."""
    body: dict[str, Any] = msgspec.json.decode(row.body)
    about: dict[str, Any] = body.get("object") or {}
    personal = disclosed_values(row.disclosure)
    columns: dict[str, tuple[str, Any]] = {
        "action": (row.action, body.get("event.action")),
        "outcome": (row.outcome, body.get("event.outcome")),
        "subject": (row.subject, body.get("user.id")),
        "request_id": (row.request_id, body.get("http.request.id")),
        "project": (row.project, about.get("project")),
        "object_kind": (row.object_kind, about.get("kind")),
        "object_name": (row.object_name, about.get("name")),
        "user_name": (row.user_name, personal.get("user.name", "")),
        "address": (row.address, personal.get("source.ip", "")),
    }
    for column, (actual, sealed) in columns.items():
        if actual != sealed:
            message = f"its column {column} is not what was sealed"
            return Fault(FaultKind.CHANGED, row.sequence or 0, row.record_id, message)
    return None
