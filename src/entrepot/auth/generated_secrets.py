"""Secrets that the registry makes: random ones behind a prefix that tells what they are for.

A random secret can't be guessed, so a plain SHA-256 of it is kept and costs nothing to check. Prefix and checksum
(:mod:`entrepot.kernel.secret_forms`) let scanners of leaked secrets find them, and let an authenticator tell by the
form alone what it has before it; it looks at no checksum, since earlier programs made secrets without.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal

from entrepot.kernel.secret_forms import new_secret_of

__all__ = [
    "SecretKind",
    "has_form",
    "hash_generated",
    "is_reserved",
    "is_unguessable",
    "new_secret",
]

SecretKind = Literal["ept_", "epr_", "ers_"]
"""Access token, refresh token, secret of a robot."""

_FORM: Final = re.compile(r"e(?:pt|pr|rs)_[A-Za-z0-9_-]{43}")
_RESERVED: Final = ("ept_", "epr_", "ers_")


def new_secret(kind: SecretKind) -> str:
    """Return a secret: the prefix and 43 characters of base64url, of which 37 are random."""
    return new_secret_of(kind)


def has_form(secret: str, kind: SecretKind) -> bool:
    """Whether a secret can be one that was made here, of this kind."""
    return secret.startswith(kind) and _FORM.fullmatch(secret) is not None


def is_unguessable(secret: str) -> bool:
    """Whether a secret can only be one that was made here, of any kind, since nobody may choose one of that form.

    A wrong one is no guess at anything: counting it protects nobody, and locks out whoever has an old one in a script.
    """
    return _FORM.fullmatch(secret) is not None


def is_reserved(secret: str) -> bool:
    """Whether a secret begins like one that is made here, so that nobody may choose it."""
    return secret.startswith(_RESERVED)


def hash_generated(secret: str) -> str:
    """Return what is kept of a secret: SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()
