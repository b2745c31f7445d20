"""Keeps a key ring up to date, as a task that the composition root owns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from entrepot.auth.keys.errors import MasterKeyError
from entrepot.auth.keys.signing_keys import REFRESH_SECONDS
from entrepot.metadata.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.auth.keys.key_ring import KeyRing
    from entrepot.auth.keys.signing_keys import SigningKeys

__all__ = ["KeyWatch"]

_log: Any = structlog.get_logger()


class KeyWatch:
    """Reads the keys every few seconds; what can't be read leaves the ring as it is until it trusts itself no more."""

    def __init__(
        self, keys: SigningKeys, ring: KeyRing, note_locked: Callable[[int], object] | None = None
    ) -> None:
        """Take what is read into which ring.

        `note_locked` is called with 1 whenever this process lacks the master key of a key that it needs, else with 0.
        """
        self._keys = keys
        self._ring = ring
        self._note_locked = note_locked

    async def start(self) -> None:
        """See to it that there are keys, and read them for the first time.

        Raises:
            MetadataError, MasterKeyError: that is not possible, so the process can't serve.
        """
        await self._keys.ensure()
        self._note(await self._keys.refresh(self._ring))

    async def run(self) -> NoReturn:
        """Refresh the ring until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                self._note(await self._keys.refresh(self._ring))
            except MasterKeyError as error:
                self._note(error)
            except MetadataError as error:
                _log.warning("keys.refresh.failed", reason=str(error))

    def _note(self, trouble: MasterKeyError | None) -> None:
        if trouble is not None:
            _log.warning("keys.refresh.failed", reason=str(trouble))
        if self._note_locked is not None:
            self._note_locked(0 if trouble is None else 1)
