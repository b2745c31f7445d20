"""The protocols of the audit log: records are added by the unit that does what they tell of, and sealed later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["AuditWriterRows", "NewAuditRecord"]


@dataclass(frozen=True, slots=True)
class NewAuditRecord:
    """A record as it is added; everything but `body` and `disclosure` is for finding it again.

    Attributes:
        record_id: random, and the reason why a record that is added twice is kept once.
        at_milliseconds: when it happened, for records that were noted in a file first; `None` for now, by the database.
        body: canonical JSON that is hashed into the chain; personal data in it are salted commitments.
        disclosure: JSON of those data and their salts, by name.
    """

    record_id: str
    action: str
    outcome: str
    subject: str
    user_name: str
    address: str
    project: str
    object_kind: str
    object_name: str
    request_id: str
    body: bytes
    disclosure: bytes
    at_milliseconds: int | None = None


class AuditWriterRows(Protocol):
    """Records within a unit."""

    async def append(self, record: NewAuditRecord) -> None:
        """Add a record, unless one with its id is there (I11)."""
