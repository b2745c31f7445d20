"""Seals and signs what is there right now, so that an export ends at a signature.

Behind the last signed link nothing but the chain holds records together, and a chain can be made anew by anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from entrepot.audit.checkpoints import Checkpoints
    from entrepot.audit.sealer import Sealer

__all__ = ["EndSigner", "NoEndSigner", "SignedEnd"]


class EndSigner(Protocol):
    """Signs the end of the chain, beside any number of others that do the same."""

    async def sign(self) -> str:
        """Seal what waits and sign where the chain then ends; return why that can't be, empty when it could."""
        ...


class SignedEnd:
    """Implements :class:`EndSigner` with what the background process uses, too: the chain has one end for all."""

    def __init__(self, sealer: Sealer, checkpoints: Checkpoints) -> None:
        self._sealer = sealer
        self._checkpoints = checkpoints

    async def sign(self) -> str:
        """See the protocol."""
        try:
            await self._sealer.run()
            await self._checkpoints.run(0)
        except (EntrepotError, OSError) as error:
            return str(error)
        return ""


class NoEndSigner:
    """Implements :class:`EndSigner` where there is no key to sign with, or it is not ours to use."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def sign(self) -> str:
        """Return the reason."""
        return self._reason
