"""Keeps account of records without personal data: how many, which, and whether a recorded erasure explains it.

A record's body names its subject by an id that is never erased, and so does the record of an erasure. The two are found
apart: a part of the log may hold the one without the other.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.audit_actions import AuditAction

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["ErasedRecords"]

_ERASURE: Final = AuditAction.AUDIT_ERASE.value.encode()


class _Object(msgspec.Struct, frozen=True):
    kind: str = ""
    name: str = ""


class _Body(
    msgspec.Struct,
    frozen=True,
    rename={"action": "event.action", "outcome": "event.outcome", "subject": "user.id", "about": "object"},
):
    action: str = ""
    outcome: str = ""
    subject: str = ""
    about: _Object = _Object()


class _OfSubject(msgspec.Struct):
    """What was met of one subject, and the first record of it."""

    records: int
    sequence: int
    record_id: str


class ErasedRecords:
    """Takes the records of a part of the log in their order; memory grows with the subjects that were erased.

    Attributes:
        count: how many had no personal data.
    """

    def __init__(self) -> None:
        self.count = 0
        self._hash = hashlib.sha256()
        self._subjects: dict[str, _OfSubject] = {}
        self._recorded: set[str] = set()

    def take(self, sequence: int, record_id: str, body: bytes, disclosure: bytes | None) -> None:
        """Look at a record."""
        if _ERASURE in body:
            read = _read(body)
            if (read.action, read.outcome) == (AuditAction.AUDIT_ERASE.value, "success"):
                self._recorded.add(read.about.name)
        if disclosure is not None:
            return
        self.count += 1
        self._hash.update(b"%d\n" % sequence)
        found = self._subjects.setdefault(_read(body).subject, _OfSubject(0, sequence, record_id))
        found.records += 1

    @property
    def which(self) -> str:
        """SHA-256 of the sequences of these records, each as a decimal number and a line feed."""
        return self._hash.hexdigest()

    @property
    def unexplained(self) -> frozenset[str]:
        """The subjects of these records whose erasure is not recorded in this part."""
        return frozenset(self._subjects) - self._recorded

    def unaccounted(self, recorded: Container[str] = ()) -> int:
        """Return how many of these no erasure explains, neither one of this part nor of the subjects `recorded`."""
        return sum(found.records for found in self._unexplained(recorded))

    def first_unaccounted(self, recorded: Container[str] = ()) -> tuple[int, str]:
        """Return the sequence and the id of the first of these; 0 and nothing without one."""
        places = [(found.sequence, found.record_id) for found in self._unexplained(recorded)]
        return min(places, default=(0, ""))

    def _unexplained(self, recorded: Container[str]) -> list[_OfSubject]:
        return [
            found
            for subject, found in self._subjects.items()
            if subject not in self._recorded and subject not in recorded
        ]


def _read(body: bytes) -> _Body:
    try:
        return msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Body()
