"""How column values become value types; a row was checked when it was written, so nothing is parsed again."""

from __future__ import annotations

from typing import cast

from entrepot.oci.digest import Algorithm, Digest

__all__ = ["digest_from_text"]


def digest_from_text(text: str) -> Digest:
    """Return the digest that a column holds."""
    algorithm, _, value = text.partition(":")
    return Digest(cast("Algorithm", algorithm), value)
