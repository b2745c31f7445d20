"""Finds the records of acts of one kind that succeeded, for what in the log only such a record explains.

A row alone proves nothing: whoever owns the database can put one there, and no record of the chain speaks for it. So
only rows count that the sealer is yet to take, and those that stand in the chain between their neighbours. To make up
one of these takes to make anew all that follows it, which checkpoints tell of.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from entrepot.audit.chain import UnknownChainAlgorithmError, link_hash
from entrepot.audit.columns import column_fault
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from entrepot.auth.audit_actions import AuditAction
    from entrepot.metadata.audit_store import AuditRow, ChainState
    from entrepot.metadata.store import Metadata

__all__ = ["acts_on_record", "is_success"]

_PAGE: Final = 100


def is_success(row: AuditRow, action: AuditAction) -> bool:
    """Tell whether a row is of an act of this kind that succeeded."""
    return (row.action, row.outcome) == (action.value, "success")


async def acts_on_record(
    metadata: Metadata, action: AuditAction, is_wanted: Callable[[AuditRow], bool], object_name: str = ""
) -> AsyncGenerator[AuditRow]:
    """Yield the records of acts of this kind that succeeded and that the chain speaks for, the newest first.

    Args:
        is_wanted: asked first; to ask the chain of a row takes two statements.
        object_name: of acts on this alone, where it is given.

    Raises:
        MetadataError: the database can't be read.
    """
    wanted = AuditFilter(action=action.value, outcome="success", object_name=object_name)
    query = AuditPageQuery(wanted, _PAGE)
    while rows := await metadata.audit.page(query):
        chain = await metadata.audit.chain()  # read behind the rows: its end is not before theirs
        for row in rows:
            if is_wanted(row) and await _is_on_record(metadata, row, chain):
                yield row
        query = replace(query, edge=rows[-1].id)


async def _is_on_record(metadata: Metadata, row: AuditRow, chain: ChainState | None) -> bool:
    if column_fault(row) is not None:
        return False
    if row.sequence is None:
        return True
    if chain is None or not chain.purged_sequence < row.sequence <= chain.sequence:
        return False
    try:
        return await _stands_in(metadata, row, row.sequence, chain)
    except (UnknownChainAlgorithmError, ValueError):  # the latter of a link that is not hexadecimal
        return False


async def _stands_in(metadata: Metadata, row: AuditRow, sequence: int, chain: ChainState) -> bool:
    """Tell whether a row's link follows from the one before, and the next one, or the end of the chain, from it.

    Raises:
        UnknownChainAlgorithmError: a newer program made the chain.
        ValueError: the link before is none.
    """
    link = chain.purged_hash
    if sequence > chain.purged_sequence + 1:
        before = await metadata.audit.links(sequence - 2, 1)
        if not before or before[0].sequence != sequence - 1:
            return False
        link = before[0].chain_hash
    found = await metadata.audit.sealed(sequence - 1, 2)
    for expected, each in enumerate(found, sequence):
        if each.sequence != expected:
            return False
        link = link_hash(chain.algorithm, link, expected, each.record_id, each.at, each.body)
        if link != each.chain_hash:
            return False
    if not found or found[0].id != row.id:
        return False
    return len(found) > 1 or (sequence, link) == (chain.sequence, chain.chain_hash)
