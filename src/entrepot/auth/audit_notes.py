"""The protocol by which edges note what changes nothing: pulls, listings and refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from entrepot.metadata.audit_store import NewAuditRecord

__all__ = ["AuditNotes"]


class AuditNotes(Protocol):
    """Records that no unit carries; in a local file when the call returns, in the database soon after (I11, F45)."""

    def note(self, record: NewAuditRecord) -> Coroutine[Any, Any, None]:
        """Keep a record; called before the reply is sent. On the usual setting it awaits nothing.

        Raises:
            AuditUnavailableError: it could not be kept, so what it tells of must not be done.
        """
        ...
