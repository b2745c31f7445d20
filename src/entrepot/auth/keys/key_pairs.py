"""Key pairs of ECDSA on P-256 with SHA-256: ES256, as JSON Web Algorithms (RFC 7518) call it."""

from __future__ import annotations

import base64
import hashlib
from typing import Final, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from entrepot.auth.keys.errors import MasterKeyError

__all__ = ["ALGORITHM", "SigningKey", "VerificationKey"]

ALGORITHM: Final = "ES256"
_ID_DIGITS: Final = 32
_COORDINATE_BYTES: Final = 32
_SCHEME: Final = ec.ECDSA(hashes.SHA256())


@final
class VerificationKey:
    """The public half of a key pair.

    Attributes:
        key_id: the first 32 hexadecimal digits of SHA-256 of the public key.
        encoded: DER, SubjectPublicKeyInfo.
    """

    __slots__ = ("_key", "encoded", "key_id")

    def __init__(self, encoded: bytes) -> None:
        key = load_der_public_key(encoded)
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise MasterKeyError("a signing key in the database is none of P-256")
        self._key = key
        self.encoded = encoded
        self.key_id = hashlib.sha256(encoded).hexdigest()[:_ID_DIGITS]

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether a signature (DER, as `openssl dgst -verify` takes it) is this key's over `data`."""
        try:
            self._key.verify(signature, data, _SCHEME)
        except InvalidSignature:
            return False
        return True

    def as_jwk(self) -> dict[str, str]:
        """Return the key as a member of a JSON Web Key Set (RFC 7517)."""
        numbers = self._key.public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": _base64url(numbers.x.to_bytes(_COORDINATE_BYTES, "big")),
            "y": _base64url(numbers.y.to_bytes(_COORDINATE_BYTES, "big")),
            "use": "sig",
            "alg": ALGORITHM,
            "kid": self.key_id,
        }


@final
class SigningKey:
    """A key pair. Formatting it shows nothing of the private half (S27)."""

    __slots__ = ("_key", "public")

    def __init__(self, encoded: bytes) -> None:
        key = load_der_private_key(encoded, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise MasterKeyError("a signing key in the database is none of P-256")
        self._key = key
        self.public = VerificationKey(
            key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new pair."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def key_id(self) -> str:
        """The id of the public half."""
        return self.public.key_id

    def sign(self, data: bytes) -> bytes:
        """Return the signature in DER."""
        return self._key.sign(data, _SCHEME)

    def sign_plainly(self, data: bytes) -> bytes:
        """Return the signature as the 64 bytes of r and s (RFC 7518, section 3.4)."""
        numbers = decode_dss_signature(self.sign(data))
        return b"".join(number.to_bytes(_COORDINATE_BYTES, "big") for number in numbers)

    def reveal(self) -> bytes:
        """Return the private half (DER, PKCS #8), to be sealed."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def reveal_pem(self) -> bytes:
        """Return the private half (PEM, PKCS #8), to be handed straight to a library that signs with it."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
