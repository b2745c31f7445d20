"""Erases the personal data in the records of somebody who is gone; what they did stays, under an id, and provable."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from entrepot.audit.acts_on_record import acts_on_record
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.kernel.secret_forms import without_secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Sequence

    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.system_actions import DeleteUser
    from entrepot.metadata.audit_store import AuditRow
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["AuditErasure", "is_erasable", "recorded_erasures"]

_BATCH_ROWS: Final = 5000
_BEFORE_ALL: Final = -(2**63)
"""Less than any id: who owns the database may have given a record any."""
_PUBLIC_ID: Final = re.compile(r"[0-9a-f]{32}")


def is_erasable(subject: str) -> bool:
    """Tell whether a subject is a person or a robot. Nobody in particular and the host's operators are not erased."""
    return _PUBLIC_ID.fullmatch(subject) is not None


async def recorded_erasures(metadata: Metadata, subjects: Container[str]) -> frozenset[str]:
    """Return those of these subjects whose erasure is on record.

    One that is purged is older than no record that it explains, so those are purged as well.

    Raises:
        MetadataError: the database can't be read.
    """
    found: set[str] = set()

    def is_wanted(row: AuditRow) -> bool:
        return row.object_name in subjects and row.object_name not in found

    async for row in acts_on_record(metadata, AuditAction.AUDIT_ERASE, is_wanted):
        found.add(row.object_name)
    return frozenset(found)


class AuditErasure:
    """Erases names, addresses and programs; the chain holds only commitments to them and is not touched."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    async def subjects(self, grant: SystemGrant[DeleteUser], name: str) -> Sequence[str]:
        """Return who acted under a name and can be erased: people and robots, also those that are gone.

        Attempts to log in that failed are nobody's, whatever name was given.

        Raises:
            MetadataError: the database can't be read.
        """
        del grant
        found = await self._metadata.audit.subjects_named(without_secrets(name))
        return [subject for subject in found if is_erasable(subject)]

    async def count(self, grant: SystemGrant[DeleteUser], subject: str) -> int:
        """Return how many records :meth:`erase` would find personal data in.

        Raises:
            MetadataError: the database can't be read.
        """
        del grant
        audit = self._metadata.audit
        return sum(
            [await audit.disclosed_count(subject, after, upto) async for after, upto in self._batches()]
        )

    async def erase(self, grant: SystemGrant[DeleteUser], subject: str) -> int:
        """Erase the personal data in all records of acts of a subject (public id); return how many had some.

        It walks through all records, in several units. Repeating it is fine; later records are not erased.

        Raises:
            MetadataError: the database failed; repeat it.
        """
        record = audit_record(grant.principal, AuditAction.AUDIT_ERASE, AuditObject("user", subject))
        erased = 0
        await self._metadata.write(lambda tx: tx.audit.append(record))
        async for after, upto in self._batches():

            async def unit(tx: Transaction, after: int = after, upto: int = upto) -> int:
                return await tx.audit_chain.erase_disclosures(subject, after, upto)

            erased += await self._metadata.write(unit)
        return erased

    async def _batches(self) -> AsyncIterator[tuple[int, int]]:
        """Yield spans of ids, of not too many records each, that hold all records there are now."""
        audit = self._metadata.audit
        last, after = await audit.last_id(), _BEFORE_ALL
        while after < last and (upto := await audit.last_of_next(after, _BATCH_ROWS)) is not None:
            yield after, upto
            after = upto
