"""Follows a chain record by record and finds the first one that is not what was sealed.

It knows nothing of where records come from: an export that an auditor took home, or the database.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from entrepot.audit.chain import NoLinkError, chain_start, link_hash
from entrepot.audit.checkpoint_format import read_signed_content
from entrepot.audit.erased_records import ErasedRecords
from entrepot.audit.signatures import is_signed_by
from entrepot.auth.audit_records import commitment, read_disclosure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from entrepot.metadata.audit_store import CheckpointRow

__all__ = [
    "ChainFollower",
    "Fault",
    "FaultKind",
    "SealedRecord",
    "check_disclosure",
    "uncovered_records",
    "verify_checkpoints",
]


class FaultKind(StrEnum):
    """What can be wrong with an audit log."""

    CHANGED = "changed"
    DISCLOSURE = "disclosure"
    DROPPED = "dropped"
    FOREIGN = "foreign"
    INDEX = "index"
    REPLACED = "replaced"
    SIGNATURE = "signature"
    STRAY = "stray"
    TABLE = "table"
    TRUNCATED = "truncated"
    UNSIGNED = "unsigned"


class Fault(msgspec.Struct, frozen=True):
    """Something that is wrong, and the first record that shows it.

    Attributes:
        record_id: empty where no record is there to name.
    """

    kind: FaultKind
    sequence: int
    record_id: str
    message: str


class SealedRecord(msgspec.Struct, frozen=True):
    """A record with its place in the chain."""

    sequence: int
    chain_hash: str
    record_id: str
    at: int
    body: bytes
    disclosure: bytes | None


class _Chain(msgspec.Struct, frozen=True):
    """Which chain, and after which link it is followed."""

    chain_id: str
    algorithm: str
    sequence: int
    chain_hash: str


class ChainFollower:
    """Takes records in their order.

    Attributes:
        sequence: of the last record that was sound, where the chain was taken up before the first one.
        erased: those that had no personal data any more.
        signed_sequence: up to where a sound checkpoint proves the records; 0 without one.
    """

    def __init__(
        self,
        chain_id: str,
        algorithm: str,
        sequence: int,
        chain_hash: str,
        checkpoints: Iterable[CheckpointRow],
    ) -> None:
        """Begin behind the link `sequence`, with checkpoints whose signatures were verified."""
        self._chain = _Chain(chain_id, algorithm, sequence, chain_hash)
        self._checkpoints: dict[int, list[CheckpointRow]] = {}
        for checkpoint in checkpoints:
            self._checkpoints.setdefault(checkpoint.sequence, []).append(checkpoint)
        self.sequence = sequence
        self.chain_hash = chain_hash
        self.erased = ErasedRecords()
        self.signed_sequence = 0

    def begin(self) -> Fault | None:
        """Return what is wrong with where the chain is taken up."""
        chain = self._chain
        if chain.sequence == 0 and chain.chain_hash != chain_start(chain.algorithm, chain.chain_id):
            return Fault(FaultKind.REPLACED, 0, "", "the chain does not begin as a chain of this name does")
        return self._compare("")

    def take(self, record: SealedRecord) -> Fault | None:
        """Follow the chain to a record; return what is wrong with it."""
        expected = self.sequence + 1
        if record.sequence != expected:
            missing = (
                f"{expected}" if record.sequence == expected + 1 else f"{expected} to {record.sequence - 1}"
            )
            text = (
                f"record {missing} is missing"
                if record.sequence > expected
                else "the order is not that of the chain"
            )
            return Fault(FaultKind.DROPPED, record.sequence, record.record_id, f"{text}, found at this one")
        try:
            link = link_hash(
                self._chain.algorithm,
                self.chain_hash,
                record.sequence,
                record.record_id,
                record.at,
                record.body,
            )
        except NoLinkError:
            message = "what the log begins behind is no link: somebody changed it"
            return Fault(FaultKind.CHANGED, self.sequence, "", message)
        if link != record.chain_hash:
            message = "its content, its time or its place is not what was sealed"
            return Fault(FaultKind.CHANGED, record.sequence, record.record_id, message)
        self.sequence, self.chain_hash = record.sequence, link
        self.erased.take(record.sequence, record.record_id, record.body, record.disclosure)
        return check_disclosure(record) or self._compare(record.record_id)

    def end(self) -> Fault | None:
        """Return what is wrong when no more records come: checkpoints that lie beyond."""
        beyond = min((sequence for sequence in self._checkpoints if sequence > self.sequence), default=None)
        if beyond is None:
            return None
        message = (
            f"the log ends here, but a signed checkpoint tells of {beyond} records: its end was cut off, or an older "
            "copy of the database took its place"
        )
        return Fault(FaultKind.TRUNCATED, self.sequence, "", message)

    def _compare(self, record_id: str) -> Fault | None:
        """Compare the link with what was signed of it."""
        for checkpoint in self._checkpoints.get(self.sequence, ()):
            if checkpoint.chain_hash != self.chain_hash:
                message = (
                    "a signed checkpoint tells of another chain up to here: the log was made anew, or goes on from an "
                    "older copy of the database"
                )
                return Fault(FaultKind.REPLACED, self.sequence, record_id, message)
            self.signed_sequence = self.sequence
        return None


def check_disclosure(record: SealedRecord) -> Fault | None:
    """Compare a record's personal data with their commitments; data that were erased are no fault.

    Only those are hashed, so what they are written in has to be as every record has it: nothing is to be added there.
    """
    if record.disclosure is None:
        return None
    fault = Fault(
        FaultKind.DISCLOSURE,
        record.sequence,
        record.record_id,
        "its user, address or program is not what was sealed",
    )
    try:
        pairs = read_disclosure(record.disclosure)
        commitments = msgspec.json.decode(record.body, type=dict[str, object]).get("personal")
        actual = {name: commitment(salt, value) for name, (salt, value) in pairs.items()}
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return fault
    return None if actual == commitments else fault


def uncovered_records(after: int, last: int, signed: int) -> tuple[int, int] | None:
    """Return the first and the last of the records behind `after` that no checkpoint covers, `None` without any.

    Args:
        signed: up to which record a checkpoint covers them; any number up to `after` for none.
    """
    first = max(signed, after) + 1
    return (first, last) if first <= last else None


def verify_checkpoints(
    chain_id: str, checkpoints: Iterable[CheckpointRow], trusted: Sequence[bytes]
) -> tuple[list[CheckpointRow], list[Fault]]:
    """Return sound checkpoints of a chain, and what is wrong with others; without `trusted` keys any will do."""
    sound: list[CheckpointRow] = []
    faults: list[Fault] = []
    for checkpoint in checkpoints:
        fault = _checkpoint_fault(chain_id, checkpoint, trusted)
        if fault is None:
            sound.append(checkpoint)
        else:
            faults.append(fault)
    return sound, faults


def _checkpoint_fault(chain_id: str, checkpoint: CheckpointRow, trusted: Sequence[bytes]) -> Fault | None:
    content = read_signed_content(checkpoint.signed)
    sequence = checkpoint.sequence
    if trusted and checkpoint.public_key not in trusted:
        return Fault(
            FaultKind.SIGNATURE, sequence, "", "a checkpoint is signed with a key that was not given"
        )
    if not is_signed_by(checkpoint.public_key, checkpoint.algorithm, checkpoint.signed, checkpoint.signature):
        return Fault(FaultKind.SIGNATURE, sequence, "", "the signature of a checkpoint is not good")
    said = (sequence, checkpoint.chain_hash, checkpoint.at)
    if content is None or (content.sequence, content.chain_hash, content.at) != said:
        return Fault(FaultKind.SIGNATURE, sequence, "", "a checkpoint says something else than was signed")
    if content.chain != chain_id:
        message = (
            "a checkpoint is of another chain: another database took the place of the one it was made of. If you know "
            "why, as after a rebuild from the storage, move the checkpoints of the old log to its exports: they prove "
            "those, and this log by its own"
        )
        return Fault(FaultKind.FOREIGN, sequence, "", message)
    return None
