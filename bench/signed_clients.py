"""Tokens for the peer, which leaves their issue to somebody else: here to the benchmark, with a key of the run."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey

from bench.certificates import make_certificate
from bench.clients import CLIENT_COUNT, REPOSITORIES, bearer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["SignedClients", "libtrust_key_id", "token_section"]

_NAME: Final = "bench"
_LIFETIME_SECONDS: Final = 24 * 60 * 60
_KEY_ID_BYTES: Final = 30
_KEY_ID_GROUP: Final = 4


@dataclass(slots=True)
class SignedClients:
    """Implements :class:`bench.clients.Clients` with tokens signed here: ES256, as Entrepot's are, good for the run."""

    certificate: Path
    key: Path
    _values: list[str] = field(default_factory=list[str])

    @classmethod
    def make(cls, directory: Path) -> SignedClients:
        """Make a key and the certificate that the server believes."""
        directory.mkdir()
        return cls(*make_certificate(directory))

    def authorizations(self) -> Sequence[str]:
        """See the protocol."""
        if not self._values:
            pem = self.key.read_bytes()
            key, header = ECKey.import_key(pem), {"alg": "ES256", "typ": "JWT", "kid": libtrust_key_id(pem)}
            self._values = [
                bearer(jwt.encode(header, _claims(number), key)) for number in range(CLIENT_COUNT)
            ]
        return self._values


def token_section(certificate: Path) -> str:
    """Return the part `auth` of the configuration; the realm is only told to clients without a token."""
    return (
        "auth:\n  token:\n"
        f"    realm: http://127.0.0.1/token\n    service: {_NAME}\n    issuer: {_NAME}\n"
        f"    rootcertbundle: {certificate}\n"
    )


def libtrust_key_id(private_key_pem: bytes) -> str:
    """Return the name by which docker-registry 2.8 knows a key: libtrust's fingerprint of its public half.

    SHA-256 of the key as DER (SubjectPublicKeyInfo), 30 bytes of it in base 32, in groups of four.
    """
    public = load_pem_private_key(private_key_pem, password=None).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:_KEY_ID_BYTES]).decode("ascii")
    return ":".join(text[start : start + _KEY_ID_GROUP] for start in range(0, len(text), _KEY_ID_GROUP))


def _claims(number: int) -> dict[str, object]:
    now = int(time.time())  # noqa: TID251  # the server under measurement goes by this machine's clock
    return {
        "iss": _NAME,
        "aud": _NAME,
        "sub": f"client-{number:03d}",
        "iat": now,
        "nbf": now - 60,
        "exp": now + _LIFETIME_SECONDS,
        "jti": secrets.token_hex(16),
        "access": [
            {"type": "repository", "name": name, "actions": ["pull", "push"]} for name in REPOSITORIES
        ],
    }
