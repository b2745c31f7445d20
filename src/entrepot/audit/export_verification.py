"""Verifies an export of the audit log without the registry.

Every line has to be, to the byte, what an export writes there: what somebody added to it, or behind its end, would be
read by other programs as part of what was proven.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from entrepot.audit.checkpoints import decode_checkpoint, encode_checkpoint
from entrepot.audit.errors import AuditExportUnreadableError
from entrepot.audit.export_format import (
    FORMAT,
    ExportEnd,
    ExportHeader,
    decode_record,
    decode_signature,
    encode_line,
    encode_record,
    encode_signature,
)
from entrepot.audit.proof import ChainFollower, Fault, FaultKind, verify_checkpoints
from entrepot.audit.signatures import is_signed_by
from entrepot.audit.verdict import AuditVerdict, make_verdict
from entrepot.metadata.audit_store import CheckpointRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from entrepot.audit.signing import CheckpointSignature

__all__ = ["verify_export"]


def verify_export(
    lines: Iterable[bytes], checkpoints: Sequence[CheckpointRow], trusted: Sequence[bytes]
) -> AuditVerdict:
    """Verify the lines of an export, also against checkpoints that were kept elsewhere.

    Raises:
        AuditExportUnreadableError: this is no export.
    """
    remaining = iter(lines)
    first = next(remaining, b"").removesuffix(b"\n")
    return _ExportReading(first, checkpoints, trusted).read(remaining)


def _read_header(line: bytes) -> ExportHeader:
    try:
        header = msgspec.json.decode(line, type=ExportHeader)
        bytes.fromhex(header.after_hash)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise AuditExportUnreadableError("its first line is no header") from error
    if header.format != FORMAT:
        raise AuditExportUnreadableError(f"it has format {header.format}, this program knows {FORMAT}")
    return header


class _ExportReading:
    """One pass over an export. The first thing that is wrong with the chain ends it."""

    def __init__(self, first: bytes, checkpoints: Sequence[CheckpointRow], trusted: Sequence[bytes]) -> None:
        self._header = _read_header(first)
        self._first = first
        self._trusted = trusted
        self._inside: list[CheckpointRow] = []
        self._end_as_signed: list[CheckpointRow] = []
        self._outside, self._faults = verify_checkpoints(self._header.chain, checkpoints, trusted)
        self._follower: ChainFollower | None = None

    def read(self, lines: Iterable[bytes]) -> AuditVerdict:
        remaining = (line.removesuffix(b"\n") for line in lines)
        ended = False
        fault: Fault | None = None
        for line in self._behind_opening(remaining):
            if ended:
                fault = self._changed("something stands behind the end of the export")
                break
            end = _read_end(line)
            fault = self._take(line) if end is None else self._fault_at_end(end, line)
            ended = end is not None
            if fault is not None:
                break
        if fault is None and not ended:
            fault = self._truncation("the export breaks off after this record")
        return self._verdict(fault)

    def _behind_opening(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Judge the header, take its signature and the checkpoints, and yield the lines behind them."""
        if encode_line(self._header) != self._first:
            message = "the first line says more than an export does, or in other words"
            self._faults.append(Fault(FaultKind.CHANGED, self._header.after, "", message))
        line = next(lines, None)
        signature = None if line is None else decode_signature(line)
        self._judge(signature)
        if signature is not None:
            written = encode_signature(signature)
            if line != written:
                self._faults.append(self._changed_opening("the signature"))
            line = next(lines, None)
        while line is not None and (checkpoint := decode_checkpoint(line)) is not None:
            if encode_checkpoint(checkpoint) != line:
                self._faults.append(self._changed_opening("a checkpoint"))
            self._inside.append(checkpoint)
            line = next(lines, None)
        if line is not None:
            yield line
        yield from lines

    def _judge(self, signature: CheckpointSignature | None) -> None:
        """Find out whether somebody stands for the header; then it proves the end of the export."""
        header = self._header
        if signature is None:
            reason = f": {header.unsigned_because}" if header.unsigned_because else ""
            message = f"nobody signed that these are all records of the times asked for{reason}"
            self._faults.append(Fault(FaultKind.UNSIGNED, header.last, "", message))
        elif self._trusted and signature.public_key not in self._trusted:
            message = "the export is signed with a key that was not given"
            self._faults.append(Fault(FaultKind.SIGNATURE, header.last, "", message))
        elif not is_signed_by(signature.public_key, signature.algorithm, self._first, signature.signature):
            message = (
                "the first line is not what was signed: there may have been more records, or of other times"
            )
            self._faults.append(Fault(FaultKind.SIGNATURE, header.last, "", message))
        else:
            self._end_as_signed.append(_as_checkpoint(header))

    def _take(self, line: bytes) -> Fault | None:
        follower, wrong = self._following()
        if wrong is not None:
            return wrong
        record = decode_record(line)
        if record is None:
            return self._changed("the line after the record before can't be read")
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
        known = (*sound, *covered, *self._end_as_signed)
        self._follower = ChainFollower(header.chain, header.algorithm, header.after, header.after_hash, known)
        return self._follower, self._follower.begin()

    def _is_covered(self, checkpoint: CheckpointRow) -> bool:
        """Whether an export of these times, whole as :mod:`.export` makes it, reaches a checkpoint kept elsewhere."""
        header = self._header
        if checkpoint.sequence <= header.last:
            return checkpoint.sequence >= header.after
        return checkpoint.at < min(header.until, header.made_at)

    def _fault_at_end(self, end: ExportEnd, line: bytes) -> Fault | None:
        follower, wrong = self._following()
        if wrong is not None:
            return wrong
        if follower.sequence != self._header.last or end.last != self._header.last:
            return self._truncation("the header tells of more records than there are")
        if encode_line(end) != line or end.records != follower.sequence - self._header.after:
            return self._changed("the last line is not that of an export of these records")
        return follower.end() or self._missing_signature(follower)

    def _missing_signature(self, follower: ChainFollower) -> Fault | None:
        """Return what is wrong when the export was signed further than what is there of it proves."""
        signed = self._header.signed
        known = any(fault.kind is not FaultKind.UNSIGNED for fault in self._faults)
        if known or follower.signed_sequence >= signed:
            return None
        message = "the export was signed up to this record, but that checkpoint is gone or its records are"
        return Fault(FaultKind.SIGNATURE, signed, "", message)

    def _changed(self, message: str) -> Fault:
        return Fault(FaultKind.CHANGED, self._following()[0].sequence + 1, "", message)

    def _changed_opening(self, what: str) -> Fault:
        message = f"the line of {what} says more than it does in an export, or in other words"
        return Fault(FaultKind.CHANGED, self._header.after, "", message)

    def _truncation(self, message: str) -> Fault:
        return Fault(FaultKind.TRUNCATED, self._following()[0].sequence, "", message)

    def _verdict(self, fault: Fault | None) -> AuditVerdict:
        header = self._header
        verdict = make_verdict(header.chain, header.after, self._following()[0], fault, self._faults)
        return msgspec.structs.replace(
            verdict, since=header.since, until=header.until, made_at=header.made_at
        )


def _as_checkpoint(header: ExportHeader) -> CheckpointRow:
    """Return the end that a signed header tells of, as something the chain has to lead to."""
    return CheckpointRow(header.last, header.last_hash, "", "", b"", b"", b"", header.made_at)


def _read_end(line: bytes) -> ExportEnd | None:
    try:
        return msgspec.json.decode(line, type=ExportEnd)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
