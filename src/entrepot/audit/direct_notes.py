"""Notes by a unit of their own, for commands on the host: they may wait for the database, and leave no files behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.errors import AuditUnavailableError
from entrepot.metadata.errors import MetadataError

if TYPE_CHECKING:
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata

__all__ = ["DirectNotes"]


class DirectNotes:
    """Implements :class:`entrepot.auth.audit_notes.AuditNotes`."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    async def note(self, record: NewAuditRecord) -> None:
        """See the protocol."""
        try:
            await self._metadata.write(lambda tx: tx.audit.append(record))
        except MetadataError as error:
            raise AuditUnavailableError(str(error)) from error
