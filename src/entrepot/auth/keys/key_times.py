"""When signing keys were made, activated and retired: by the database's clock, and never later than now.

A time that is later was written under a clock that has been put back since (F27). It becomes now for whoever meets it
first: what began then lasts once more at most, and not until that time comes.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.auth.keys.errors import KeyRotationError
from entrepot.metadata.errors import MetadataError

if TYPE_CHECKING:
    from entrepot.metadata.key_store import KeyPurpose, SigningKeyRow, SigningKeyTable
    from entrepot.metadata.store import Metadata

__all__ = ["read_keys", "require_published"]

_log: Any = structlog.get_logger()

_PUBLISHED_MILLISECONDS: Final = 60_000
"""How long a key is published at least before it signs: a node that did not read it by then trusts no key at all."""


async def read_keys(metadata: Metadata, purpose: KeyPurpose) -> SigningKeyTable:
    """Read the keys of a purpose, and put right what a clock that was ahead wrote of them, for the next who reads.

    A time ahead and now mean the same of what is read: just begun. Not to be called from within a unit.

    Raises:
        MetadataError: they can't be read.
    """
    table = await metadata.signing_keys.read(purpose)
    if table.ahead_milliseconds:
        await _clamp(metadata, purpose, table.ahead_milliseconds // 1000)
        # Whoever reads takes the time as well, and a database that takes no writes may have kept the clamp waiting.
        table = await metadata.signing_keys.read(purpose)
    return table


def require_published(row: SigningKeyRow, now: int) -> None:
    """Let no key sign before every node can know it.

    Raises:
        KeyRotationError: not yet, and for how many seconds; never for more than a key is published at least.
    """
    waiting = min(row.created_at - now, 0) + _PUBLISHED_MILLISECONDS
    if waiting > 0:
        seconds = -(-waiting // 1000)
        message = (
            f"the next key was published too recently for every node to know it; try again in {seconds} s"
        )
        raise KeyRotationError(message)


async def _clamp(metadata: Metadata, purpose: KeyPurpose, seconds: int) -> None:
    """Write it down, or leave that to the next look: whoever reads the keys needs no database that takes writes."""
    with contextlib.suppress(MetadataError):
        clamped = await metadata.write(lambda tx: tx.signing_keys.clamp(purpose))
        if clamped:  # of several nodes, one
            _log.warning("keys.dated_ahead", purpose=purpose, keys=clamped, seconds=seconds)
