"""Answers to requests that never reach the application, since nobody can tell what they ask for."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

__all__ = ["Refusal"]

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class Refusal(msgspec.Struct, frozen=True):
    """A status, and what is wrong with the request in words for whoever wrote the client."""

    status: int
    reason: str

    def encode(self) -> bytes:
        """Return the whole answer; the connection ends with it."""
        body = f"{self.reason}\n".encode("ascii", "replace")
        head = (
            f"HTTP/1.1 {self.status} {_REASONS[self.status]}\r\nconnection: close\r\n"
            f"content-type: text/plain; charset=us-ascii\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + body
