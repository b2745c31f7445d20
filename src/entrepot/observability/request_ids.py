"""The id of a request under way, by which its log lines and the client's own log can be put side by side."""

from __future__ import annotations

import os
import re
from contextvars import ContextVar, Token
from typing import Final, final

__all__ = ["RequestIds", "bind_request_id", "current_request_id", "unbind_request_id"]

_RANDOM_BYTES: Final = 16
_DRAWN_AT_ONCE: Final = 64
_ACCEPTABLE: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_request_id: Final[ContextVar[str]] = ContextVar("entrepot_request_id", default="")


@final
class RequestIds:
    """Takes over clients' ids and makes new ones. Belongs to one process: a fork would hand out the same ones again."""

    def __init__(self) -> None:
        self._unused: list[str] = []

    def accept(self, header: bytes | None) -> str:
        """Return the client's ``X-Request-Id`` if it is 1 to 128 of ``A-Za-z0-9._-``; else a new id.

        Anything else could forge log lines or blow them up, so it is replaced rather than cleaned.
        """
        if header is not None and _ACCEPTABLE.fullmatch(header) is not None:
            return header.decode("ascii")
        return self.new()

    def new(self) -> str:
        """Return an id that can't be guessed: 32 hexadecimal digits. Many are drawn at once, being drawn is dear."""
        if not self._unused:
            digits = os.urandom(_RANDOM_BYTES * _DRAWN_AT_ONCE).hex()
            length = 2 * _RANDOM_BYTES
            self._unused = [digits[start : start + length] for start in range(0, len(digits), length)]
        return self._unused.pop()


def bind_request_id(request_id: str) -> Token[str]:
    """Put the id on every log line of this task and of those it starts; the token undoes it."""
    return _request_id.set(request_id)


def unbind_request_id(token: Token[str]) -> None:
    """Restore what was bound before."""
    _request_id.reset(token)


def current_request_id() -> str:
    """Return the id of the request under way, or an empty string outside one."""
    return _request_id.get()
