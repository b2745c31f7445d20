"""How far the database's clock and this machine's are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.kernel.clock import machine_milliseconds

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata

__all__ = ["clock_skew_seconds"]


async def clock_skew_seconds(metadata: Metadata) -> float:
    """Return how far the database's clock is ahead; below 0 for behind. The way to it and back counts half.

    Raises:
        MetadataError: it can't be asked.
    """
    before = machine_milliseconds()
    clock = await metadata.diagnosis.clock_milliseconds()
    return (clock - (before + machine_milliseconds()) / 2) / 1000
