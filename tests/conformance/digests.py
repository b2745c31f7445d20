"""Digests as a client computes them, independent of the product's own code."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

__all__ = ["ALGORITHMS", "Algorithm", "digest_of", "referrers_tag"]

Algorithm = Literal["sha256", "sha512"]

ALGORITHMS: Final[tuple[Algorithm, ...]] = ("sha256", "sha512")
"""The registered algorithms (image-spec, descriptor.md, "Registered algorithms")."""


def digest_of(content: bytes, algorithm: Algorithm = "sha256") -> str:
    """Return `<algorithm>:<hex>` of `content`."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def referrers_tag(digest: str) -> str:
    """Return the tag under which clients of old registries keep the referrers of `digest`."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"
