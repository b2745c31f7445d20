"""Takes secrets out of what is written down: people paste them where names belong, and wherever they can type (S27).

Only what has a form of its own can be told: the secrets that this registry makes, and signed tokens. Sound names may
have that form but for a capital letter (`customers_`, `access_`), which 43 random characters never lack. What is left
of a secret are its prefix and the beginning of a hash, `ept_…1f3a9c2e`: two of them are told apart, and none is told.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import quote, unquote

__all__ = ["bytes_without_secrets", "is_secret", "typed_without_secrets", "without_secrets"]

_PREFIXES: Final = ("ept_", "epr_", "ers_", "ess_", "eyJ")
"""Access token, refresh token, secret of a robot, session; and how the head of a signed token (JWT) begins."""
_BYTE_PREFIXES: Final = tuple(prefix.encode() for prefix in _PREFIXES)
_MADE: Final = r"(e(?:pt|pr|rs|ss)_)(?=[a-z0-9_-]{0,42}[A-Z])[A-Za-z0-9_-]{43}"
_SIGNED: Final = r"(eyJ)[A-Za-z0-9_-]{4,256}+\.[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]{16,}+"
"""Whatever stands before it, as `%3D` or an escape of JSON. Heads are short, and nothing is given back: else a long
text of such beginnings would take quadratic time."""
_WITHIN: Final = re.compile(rf"{_MADE}|{_SIGNED}")
_WITHIN_BYTES: Final = re.compile(rf"{_MADE}|{_SIGNED}".encode())
_SHOWN_DIGITS: Final = 8
_KEPT_CHARACTERS: Final = "/:@ '\"(),;=?!&+$"
_ENCODINGS: Final = 3
"""How often a text is decoded to look into it; what is encoded more often still nobody pasted."""


def is_secret(text: str) -> bool:
    """Whether a text is a secret and nothing else."""
    return text.startswith(_PREFIXES) and _WITHIN.fullmatch(text) is not None


def without_secrets(text: str) -> str:
    """Return text without the secrets in it; the same object when it holds none.

    Most text takes the time of looking for two marks. Mask before you cut, or a part of a secret may stay.
    """
    if "_" in text or "eyJ" in text:
        for prefix in _PREFIXES:
            if prefix in text:
                masked = _WITHIN.sub(_shown, text)
                return text if masked == text else masked
    return text


def typed_without_secrets(text: str) -> str:
    """Return what a client sent without secrets, also those that escapes of a URL hide; the same when it holds none."""
    masked = without_secrets(text)
    plain = masked
    for _ in range(_ENCODINGS):
        if "%" not in plain:
            break
        plain = unquote(plain)
        shown = without_secrets(plain)
        if shown is not plain:
            return quote(shown, safe=_KEPT_CHARACTERS).replace(quote("…"), "…")
    return masked


def bytes_without_secrets(text: bytes) -> bytes:
    """Return UTF-8 without the secrets in it; JSON stays JSON. The same object when it holds none."""
    for prefix in _BYTE_PREFIXES:
        if prefix in text:
            masked = _WITHIN_BYTES.sub(_shown_bytes, text)
            return text if masked == text else masked
    return text


def _shown(found: re.Match[str]) -> str:
    return f"{found[1] or found[2]}…{_told_apart(found[0].encode())}"


def _shown_bytes(found: re.Match[bytes]) -> bytes:
    return (found[1] or found[2]) + f"…{_told_apart(found[0])}".encode()


def _told_apart(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()[:_SHOWN_DIGITS]
