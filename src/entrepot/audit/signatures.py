"""Verifies signatures of checkpoints with nothing but a public key, so that an auditor needs no registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = ["PublicKeyUnreadableError", "is_signed_by", "public_key_bytes"]

_HALF_BYTES: Final = 32


class PublicKeyUnreadableError(EntrepotError):
    """A file was given as a public key and holds none."""

    def __init__(self) -> None:
        super().__init__("this is no public key in PEM or DER")


def public_key_bytes(content: bytes) -> bytes:
    """Return a public key, given in PEM or DER, as DER.

    Raises:
        PublicKeyUnreadableError: it is none.
    """
    try:
        key = load_pem_public_key(content) if b"-----BEGIN" in content else load_der_public_key(content)
    except ValueError as error:
        raise PublicKeyUnreadableError from error
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def is_signed_by(public_key: bytes, algorithm: str, content: bytes, signature: bytes) -> bool:
    """Tell whether `signature` is one of `content` by the owner of the key; `False` for what can't be understood."""
    if algorithm != "ES256" or len(signature) != 2 * _HALF_BYTES:
        return False
    try:
        key: PublicKeyTypes = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        return False
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        return False
    halves = (int.from_bytes(signature[:_HALF_BYTES]), int.from_bytes(signature[_HALF_BYTES:]))
    try:
        key.verify(encode_dss_signature(*halves), content, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
