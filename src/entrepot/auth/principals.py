"""The one who asks, as the edge found them."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["ANONYMOUS", "Principal"]

ANONYMOUS: Final = "anonymous"
"""The subject of everybody who presented no credentials."""


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Who asks, and from where.

    Attributes:
        subject: the stable id that upload sessions, rows and audit records carry.
        address: the peer's IP address as text, empty when the server could not tell.
        forwarded: whether anything suggests that somebody passed the request on, so that `address` is not the client's.
    """

    subject: str
    address: str
    forwarded: bool
