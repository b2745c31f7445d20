"""Takes secrets out of what is written down: people paste them where names belong, and wherever they can type (S27).

Only what has a form of its own can be told: the secrets that this registry makes, and tokens that it signs. Two forms,
of text and of bytes, since records and log lines are masked as they are written, once and whole.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["bytes_without_secrets", "without_secrets"]

_PREFIXES: Final = ("ept_", "epr_", "ers_", "ess_", "eyJ")
"""Access token, refresh token, secret of a robot, session; and how the head of a signed token (JWT) begins."""
_BYTE_PREFIXES: Final = tuple(prefix.encode() for prefix in _PREFIXES)
_MADE: Final = r"(e(?:pt|pr|rs|ss)_)[A-Za-z0-9_-]{43}"
_SIGNED: Final = r"(?<![A-Za-z0-9_-])(eyJ)[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]{16,}+"
"""Begins where a word begins, and gives nothing back: else a long text of such beginnings would take quadratic time."""
_WITHIN: Final = re.compile(rf"{_MADE}|{_SIGNED}")
_WITHIN_BYTES: Final = re.compile(rf"{_MADE}|{_SIGNED}".encode())


def without_secrets(text: str) -> str:
    """Return text with every secret in it reduced to its prefix; the same object without any.

    Most text takes the time of looking for two marks. Mask before you cut, or a part of a secret may stay.
    """
    if "_" in text or "eyJ" in text:
        for prefix in _PREFIXES:
            if prefix in text:
                return _WITHIN.sub(_shown, text)
    return text


def bytes_without_secrets(text: bytes) -> bytes:
    """Return UTF-8 with every secret in it reduced to its prefix; JSON stays JSON. The same object without any."""
    for prefix in _BYTE_PREFIXES:
        if prefix in text:
            return _WITHIN_BYTES.sub(_shown_bytes, text)
    return text


def _shown(found: re.Match[str]) -> str:
    return f"{found[1] or found[2]}…"


def _shown_bytes(found: re.Match[bytes]) -> bytes:
    return (found[1] or found[2]) + "…".encode()
