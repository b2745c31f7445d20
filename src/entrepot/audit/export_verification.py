"""Verifies an export of the audit log without the registry.

Every line has to be, to the byte, what an export writes there: what somebody added to it, or behind its end, would be
read by other programs as part of what was proven.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from entrepot.audit.checkpoint_format import decode_checkpoint, encode_checkpoint, signed_at
from entrepot.audit.errors import AuditExportUnreadableError
from entrepot.audit.export_format import (
    FORMAT,
    FORMAT_BY_RECORDS,
    FORMAT_WITHOUT_KEYS,
    NODES_APART_MILLISECONDS,
    CheckpointLines,
    ExportEnd,
    ExportHeader,
    decode_record,
    decode_signature,
    encode_header_as,
    encode_line,
    encode_record,
    encode_signature,
    fingerprint,
)
from entrepot.audit.export_reach import ExportReach, earliest_time, latest_time
from entrepot.audit.proof import ChainFollower, Fault, FaultKind, verify_checkpoints
from entrepot.audit.purge_mark import believable_time, purge_faults
from entrepot.audit.signatures import is_signed_by
from entrepot.audit.signed_times import SignedTimes
from entrepot.audit.verdict import AuditVerdict, make_verdict
from entrepot.kernel.clock import machine_milliseconds
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
    if header.format not in {FORMAT, FORMAT_BY_RECORDS, FORMAT_WITHOUT_KEYS}:
        raise AuditExportUnreadableError(f"it has format {header.format}, this program knows {FORMAT}")
    return header


def _without_keys(part: ExportHeader | ExportEnd) -> bool:
    """Tell whether a part is as exports had it that did not name their keys."""
    named = (part.key_id, part.checkpoints) if isinstance(part, ExportEnd) else (part.key_id,)
    return msgspec.UNSET in named


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
        self._is_signed = self._is_refuted = False
        self._key = b""
        self._is_key_unknown = False
        self._unaccounted: int | None = None
        self._checkpoint_lines = CheckpointLines()
        self._is_torn = False

    def read(self, lines: Iterable[bytes]) -> AuditVerdict:
        remaining = self._behind_opening(self._without_breaks(lines))
        for line in remaining:
            end = _read_end(line)
            fault = self._take(line) if end is None else self._fault_at_end(end, line, remaining)
            if fault is not None or end is not None:
                return self._verdict(fault)
        return self._verdict(self._truncation("the export breaks off after this record"))

    def _without_breaks(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            self._is_torn = not line.endswith(b"\n")
            yield line.removesuffix(b"\n")

    def _behind_opening(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Judge the header, take its signature and the checkpoints, and yield the lines behind them."""
        is_old = self._header.format == FORMAT_WITHOUT_KEYS
        if (
            encode_header_as(self._header, self._first) != self._first
            or _without_keys(self._header) != is_old
        ):
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
            self._checkpoint_lines.take(line)
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
            return
        message = "the first line is not what was signed: there may have been more records, or of other times"
        self._is_signed = self._is_good(signature, header, self._first, message)
        self._is_refuted = not self._is_signed
        if self._is_signed:
            self._key = signature.public_key
            self._end_as_signed.append(_as_checkpoint(header))

    def _is_good(
        self, signature: CheckpointSignature, part: ExportHeader | ExportEnd, content: bytes, otherwise: str
    ) -> bool:
        """Tell whether somebody who is trusted signed this; else that is a fault."""
        if self._trusted and signature.public_key not in self._trusted:
            otherwise = "the export is signed with a key that was not given"
        elif is_signed_by(signature.public_key, signature.algorithm, content, signature.signature):
            if part.key_id in {msgspec.UNSET, signature.key_id}:
                return True
            otherwise = "the line of a signature names another key than the line that it signs"
        self._faults.append(Fault(FaultKind.SIGNATURE, self._header.last, "", otherwise))
        return False

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
        reach = ExportReach(header, sound, self._outside, any_key=bool(self._trusted))
        of_key = self._key_faults(sound, reach)
        all_sound = (*sound, *self._outside)
        self._faults += [*self._purge_faults(all_sound), *self._beginning_faults(all_sound), *faults, *of_key]
        known = (*sound, *reach.required(), *self._end_as_signed)
        self._follower = ChainFollower(header.chain, header.algorithm, header.after, header.after_hash, known)
        return self._follower, self._follower.begin()

    def _purge_faults(self, checkpoints: Sequence[CheckpointRow]) -> Sequence[Fault]:
        """Return what is wrong with where the log begins.

        It may begin there since a time when the clock was ahead that has been set back (F27). Up to when that was the
        checkpoints of the part prove, and the process that made the export has to bear it out. Where nobody is known to
        have signed that, so has the machine that verifies.
        """
        header = self._header
        begun_at = header.made_at
        if header.node_at:
            begun_at = max(begun_at, SignedTimes(checkpoints).latest(header.purged, header.last))
        begun_at = believable_time(begun_at, header.node_at)
        if self._is_key_unknown or not self._is_signed:
            begun_at = believable_time(begun_at, machine_milliseconds())
        return purge_faults(header.purged, header.purge_record, checkpoints, begun_at)

    def _beginning_faults(self, checkpoints: Sequence[CheckpointRow]) -> Sequence[Fault]:
        """Return what is wrong where nothing shows that the records before were sealed before the times asked for."""
        header = self._header
        is_by_records = header.format in {FORMAT_BY_RECORDS, FORMAT_WITHOUT_KEYS}
        if is_by_records or header.after <= header.purged:
            return ()
        if any(header.after <= one.sequence and latest_time(one) < header.since for one in checkpoints):
            return ()
        message = (
            "the export begins behind this record, and no checkpoint from there on was signed before the times asked "
            "for: records of these times may have been left out"
        )
        return (Fault(FaultKind.TRUNCATED, header.after, "", message),)

    def _key_faults(self, inside: Sequence[CheckpointRow], reach: ExportReach) -> Sequence[Fault]:
        """Return what is wrong with the export's key, where none was given, and note if no kept checkpoint has it.

        It may be that of a stranger, or have been rotated. It was not, where another one signed both what the export
        holds and, after it was begun, what it does not.
        """
        header, kept_keys = self._header, {kept.public_key for kept in self._outside}
        if self._trusted or not self._key or not kept_keys or self._key in kept_keys:
            return ()
        self._is_key_unknown = True
        before = {one.public_key for one in (*inside, *self._outside) if one.sequence <= header.last}
        since = {
            kept.public_key
            for kept in self._outside
            if kept.sequence > header.last and reach.is_later(kept) and signed_at(kept) < header.until
        }
        if not before & since:
            return ()
        message = (
            "the export is signed with a key that no kept checkpoint has, between checkpoints of another key: whoever "
            "holds the file may have cut and signed it; give the keys that were taken down (--public-key)"
        )
        return (Fault(FaultKind.SIGNATURE, header.last, "", message),)

    def _fault_at_end(self, end: ExportEnd, line: bytes, behind: Iterator[bytes]) -> Fault | None:
        follower, wrong = self._following()
        if wrong is not None:
            return wrong
        if follower.sequence != self._header.last or end.last != self._header.last:
            return self._truncation("the header tells of more records than there are")
        is_old = self._header.format == FORMAT_WITHOUT_KEYS
        is_other = encode_line(end) != line or _without_keys(end) != is_old
        if is_other or end.records != follower.sequence - self._header.after:
            return self._changed("the last line is not that of an export of these records")
        following = list(islice(behind, 2))
        signature = decode_signature(following[0]) if following else None
        if following != ([] if signature is None else [encode_signature(signature)]):
            return self._changed("something stands behind the end of the export")
        if not self._is_refuted:
            self._judge_end(end, line, signature)
        return (
            self._with_doubts(follower.end())
            or self._missing_signature(follower)
            or self._fault_of_lines(end)
        )

    def _with_doubts(self, cut: Fault | None) -> Fault | None:
        """Have what is missing at the end tell what else than a cut may look like that, where a clock was wrong."""
        header, doubt = self._header, ""
        beyond = [kept for kept in self._outside if kept.sequence > header.last]
        if cut is None or not beyond:
            return cut
        if header.clocks_apart:
            doubt = (
                f". Or the clock of the machine that made the export was wrong: {header.clocks_apart // 1000} s from "
                "the database's; set it right and export again"
            )
        elif any(earliest_time(kept) < kept.at for kept in beyond) or (
            min(kept.at for kept in beyond) <= max((known.at for known in self._inside), default=0)
        ):
            doubt = (
                ". Or a clock was wrong and was put right, or back, since: all checkpoints from there on together "
                "would show that, and where keys were rotated the public keys"
            )
        return msgspec.structs.replace(cut, message=cut.message + doubt)

    def _fault_of_lines(self, end: ExportEnd) -> Fault | None:
        """Return what is wrong with lines that prove no record, where nothing else is."""
        if any(fault.kind is not FaultKind.UNSIGNED for fault in self._faults):
            return None
        there = (self._checkpoint_lines.count, self._checkpoint_lines.which)
        if end.checkpoints is not msgspec.UNSET and there != (end.checkpoints, end.checkpoints_which):
            message = (
                f"the export was written with {end.checkpoints} checkpoints, and not with these "
                f"{self._checkpoint_lines.count}, or in this order"
            )
            return Fault(FaultKind.CHANGED, self._header.after, "", message)
        if self._is_torn:
            return self._truncation("the last line has no end")
        return None

    def _judge_end(self, end: ExportEnd, line: bytes, signature: CheckpointSignature | None) -> None:
        """Find out whether all personal data are there that were when the export was made (8.1.4.3c)."""
        if self._is_signed and signature is None:
            reason = f": {end.unsigned_because}" if end.unsigned_because else ""
            message = f"nobody signed which of the records had personal data{reason}"
            self._faults.append(Fault(FaultKind.UNSIGNED, self._header.last, "", message))
        message = "the last line is not what was signed: more records may have had personal data"
        if signature is not None and not (
            self._is_good(signature, end, line, message) and self._is_of_same(signature)
        ):
            return
        erased = self._following()[0].erased
        if end.header != fingerprint(self._first):
            self._add_disclosure_fault("the last line is that of another export")
        elif (end.erased, end.erased_which) != (erased.count, erased.which):
            message = (
                f"{erased.count} records have no personal data, but when the export was made it were {end.erased}, "
                "or others"
            )
            self._add_disclosure_fault(message)
        elif end.unaccounted:
            message = (
                f"{end.unaccounted} records had no personal data when the export was made, and no record of an "
                "erasure told why"
            )
            self._add_disclosure_fault(message)
        else:
            self._unaccounted = 0 if signature is not None else erased.unaccounted()
            return
        self._unaccounted = end.unaccounted or erased.unaccounted()

    def _is_of_same(self, signature: CheckpointSignature) -> bool:
        """Tell whether the end is signed with the key of the header, or one that is vouched for; else that is a fault.

        One key signs both, unless it was revoked between. Else whoever holds the file could take personal data out of
        it and sign the end with a key of their own, while the header shows the one that kept checkpoints have.
        """
        key = signature.public_key
        if self._trusted or not self._key or key == self._key:
            return True
        if key in {kept.public_key for kept in self._outside}:
            return True
        message = (
            "the last line is signed with another key than the first, which no kept checkpoint has: whoever holds the "
            "file may have taken personal data out and signed it; if the first key was revoked meanwhile, give the "
            "keys that were taken down (--public-key)"
        )
        self._faults.append(Fault(FaultKind.SIGNATURE, self._header.last, "", message))
        return False

    def _add_disclosure_fault(self, message: str) -> None:
        first, record_id = self._following()[0].erased.first_unaccounted()
        self._faults.append(Fault(FaultKind.DISCLOSURE, first or self._header.last, record_id, message))

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
        follower = self._following()[0]
        unaccounted = follower.erased.unaccounted() if self._unaccounted is None else self._unaccounted
        verdict = make_verdict(
            header.chain, header.after, follower, fault, self._faults, unaccounted=unaccounted
        )
        return msgspec.structs.replace(
            verdict,
            since=header.since,
            until=header.until,
            made_at=header.made_at,
            is_key_unknown=self._is_key_unknown,
            is_dated_ahead=header.made_at > machine_milliseconds() + NODES_APART_MILLISECONDS,
        )


def _as_checkpoint(header: ExportHeader) -> CheckpointRow:
    """Return the end that a signed header tells of, as something the chain has to lead to."""
    return CheckpointRow(header.last, header.last_hash, "", "", b"", b"", b"", header.made_at)


def _read_end(line: bytes) -> ExportEnd | None:
    try:
        return msgspec.json.decode(line, type=ExportEnd)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
