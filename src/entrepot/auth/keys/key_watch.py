"""Keeps a key ring up to date, as a task that the composition root owns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from entrepot.auth.keys.errors import MasterKeyError
from entrepot.auth.keys.signing_keys import REFRESH_SECONDS
from entrepot.metadata.errors import MetadataError

if TYPE_CHECKING:
    from entrepot.auth.keys.key_ring import KeyRing
    from entrepot.auth.keys.signing_keys import SigningKeys

__all__ = ["KeyWatch"]

_log: Any = structlog.get_logger()


class KeyWatch:
    """Reads the keys every few seconds; what can't be read leaves the ring as it is until it trusts itself no more."""

    def __init__(self, keys: SigningKeys, ring: KeyRing) -> None:
        self._keys = keys
        self._ring = ring

    async def start(self) -> None:
        """See to it that there are keys, and read them for the first time.

        Raises:
            MetadataError, MasterKeyError: that is not possible, so the process can't serve.
        """
        await self._keys.ensure()
        await self._keys.refresh(self._ring)

    async def run(self) -> NoReturn:
        """Refresh the ring until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self._keys.refresh(self._ring)
            except (MetadataError, MasterKeyError) as error:
                _log.warning("keys.refresh.failed", reason=str(error))
