"""Seals and signs what is there right now, so that an export ends at a signature.

Behind the last signed link nothing but the chain holds records together, and a chain can be made anew by anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import structlog

from entrepot.kernel.errors import EntrepotError
from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.audit.checkpoints import Checkpoints
    from entrepot.audit.sealer import Sealer
    from entrepot.audit.signing import CheckpointSignature, CheckpointSigner

__all__ = ["EndSigner", "NoEndSigner", "SignedEnd"]

_log: Any = structlog.get_logger()


class EndSigner(Protocol):
    """Signs the end of the chain, beside any number of others that do the same, and what an export says of itself."""

    async def sign(self) -> str:
        """Seal what waits and sign where the chain then ends; return why that can't be, empty when it could.

        Raises:
            MetadataUnavailableError: the database takes nothing, so what comes next can't be done either.
        """
        ...

    async def attest(self, content: bytes, key_id: str = "") -> CheckpointSignature | None:
        """Sign an export's first line, or its last; `None` where that can't be for the reason that `sign` gives.

        Args:
            key_id: of the key that signed the first line, for the last one: see :class:`CheckpointSigner`.

        Raises:
            EntrepotError, OSError: it can't be for another.
        """
        ...

    async def owns(self, key_id: str, public_key: bytes) -> bool:
        """Tell whether a key is one of ours, as far as that can be told: see :class:`CheckpointSigner`."""
        ...


class SignedEnd:
    """Implements :class:`EndSigner` with what the background process uses, too: the chain has one end for all."""

    def __init__(
        self,
        sealer: Sealer,
        checkpoints: Checkpoints,
        signer: CheckpointSigner,
        count_failure: Callable[[], None] | None = None,
    ) -> None:
        """Take what to sign with, and what counts failures where somebody watches."""
        self._sealer = sealer
        self._checkpoints = checkpoints
        self._signer = signer
        self._count_failure = count_failure

    async def sign(self) -> str:
        """See the protocol."""
        try:
            await self._sealer.run()
            await self._checkpoints.run(0)
        except MetadataUnavailableError:
            raise
        except (EntrepotError, OSError) as error:
            # The export itself may be signed all the same, so it does not have to tell.
            _log.warning("audit.end.failed", reason=str(error))
            if self._count_failure is not None:
                self._count_failure()
            return str(error)
        return ""

    async def attest(self, content: bytes, key_id: str = "") -> CheckpointSignature:
        """See the protocol."""
        return await self._signer.sign(content, key_id)

    async def owns(self, key_id: str, public_key: bytes) -> bool:
        """See the protocol."""
        return await self._signer.owns(key_id, public_key)


class NoEndSigner:
    """Implements :class:`EndSigner` where there is no key to sign with, or it is not ours to use."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def sign(self) -> str:
        """Return the reason."""
        return self._reason

    async def attest(self, content: bytes, key_id: str = "") -> None:
        """Sign nothing."""

    async def owns(self, key_id: str, public_key: bytes) -> bool:  # noqa: ARG002 - see the protocol
        """Take each for one of ours: nobody can tell here."""
        return True
