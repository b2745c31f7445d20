"""Finds the records of acts of one kind that succeeded, for what in the log only such a record explains."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.auth.audit_actions import AuditAction
    from entrepot.metadata.audit_store import AuditRow
    from entrepot.metadata.store import Metadata

__all__ = ["acts_on_record"]

_PAGE: Final = 500


async def acts_on_record(metadata: Metadata, action: AuditAction) -> AsyncGenerator[AuditRow]:
    """Yield the records of all acts of this kind that succeeded, the newest first.

    Raises:
        MetadataError: the database can't be read.
    """
    query = AuditPageQuery(AuditFilter(action=action.value, outcome="success"), _PAGE)
    while rows := await metadata.audit.page(query):
        for row in rows:
            yield row
        query = replace(query, edge=rows[-1].id)
