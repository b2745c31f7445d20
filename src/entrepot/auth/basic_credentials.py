"""Reads credentials of the Basic scheme (RFC 7617) from an Authorization header, for every edge that takes them."""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

__all__ = ["BasicCredentials", "parse_basic"]

_MOST_CHARACTERS: Final = 4096
"""No name and password need more; what is longer would only be hashed at length."""


class BasicCredentials(msgspec.Struct, frozen=True, gc=False):
    """A name and a secret as somebody presented them. Formatting them shows the name only (S27)."""

    name: str
    secret: str

    def __repr__(self) -> str:
        return f"BasicCredentials({self.name!r})"


def parse_basic(encoded: str) -> BasicCredentials | None:
    """Return what follows the word `Basic`, decoded; `None` when it is malformed.

    The name ends at the first colon. Texts are UTF-8; a name or secret with a NUL or another control character is none.
    """
    if len(encoded) > _MOST_CHARACTERS:
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    name, colon, secret = text.partition(":")
    if not colon or not name or any(ord(character) < 32 or ord(character) == 127 for character in text):
        return None
    return BasicCredentials(name, secret)
