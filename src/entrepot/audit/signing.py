"""The protocol of whoever signs the end of the chain; the keys are not this package's business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["CheckpointSignature", "CheckpointSigner"]


@dataclass(frozen=True, slots=True)
class CheckpointSignature:
    """A signature with all that verifying it takes.

    Attributes:
        algorithm: by its name in JSON Web Algorithms, as `ES256`.
        public_key: SubjectPublicKeyInfo in DER.
        signature: as JSON Web Signature has it: for ES256 the 64 bytes of r and s (RFC 7518, section 3.4).
    """

    key_id: str
    algorithm: str
    public_key: bytes
    signature: bytes


class CheckpointSigner(Protocol):
    """Signs with a key of the purpose `audit`."""

    async def sign(self, content: bytes, key_id: str = "") -> CheckpointSignature:
        """Return the signature of `content` by the active key.

        Args:
            key_id: of the key that signed what this is the end of: it signs that, too, unless it was revoked since.

        Raises:
            EntrepotError: there is no key, or it can't be unsealed.
        """
        ...

    async def owns(self, key_id: str, public_key: bytes) -> bool:
        """Tell whether a key is one of ours, in use or retired: anybody who writes to the database can add others.

        Raises:
            MetadataError: the keys can't be read.
        """
        ...
