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
        forwarded: whether anything suggests that somebody passed the request on, so that `address` is not the client's.
    """

    subject: str
    address: str
    forwarded: bool
