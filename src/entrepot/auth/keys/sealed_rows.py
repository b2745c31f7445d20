"""Tells which master keys the database needs, without loading any cryptography."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from entrepot.metadata.key_store import KeyPurpose
    from entrepot.metadata.store import Metadata

__all__ = ["sealing_master_keys"]

_PURPOSES: Final[tuple[KeyPurpose, ...]] = ("token", "audit")


async def sealing_master_keys(metadata: Metadata) -> frozenset[str]:
    """Return the ids of the keys with which something in the database is sealed."""
    tables = [await metadata.signing_keys.read(purpose) for purpose in _PURPOSES]
    return frozenset(row.master_key_id for table in tables for row in table.rows)
