"""The one who asks, as the edge found them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ANONYMOUS", "Principal"]

ANONYMOUS: Final = "anonymous"
"""The subject of everybody who presented no credentials."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and from where.

    Attributes:
        subject: the stable id that upload sessions, rows and audit records carry.
        address: the peer's IP address as text, empty when the server could not tell.
        forwarded: whether the request says of itself that a proxy passed it on, so that `address` is the proxy's.
    """

    subject: str
    address: str
    forwarded: bool
