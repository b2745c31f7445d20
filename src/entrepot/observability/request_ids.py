"""The id of a request under way, by which its log lines and the client's own log can be put side by side."""

from __future__ import annotations

import re
from contextvars import ContextVar, Token

from entrepot.kernel.ids import new_public_id

__all__ = [
    "accept_request_id",
    "bind_request_id",
    "current_request_id",
    "new_request_id",
    "unbind_request_id",
]

_ACCEPTABLE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_request_id: ContextVar[str] = ContextVar("entrepot_request_id", default="")


def new_request_id() -> str:
    """Return an id that can't be guessed: 32 hexadecimal digits."""
    return new_public_id()


def accept_request_id(header: bytes | None) -> str:
    """Return the client's ``X-Request-Id`` if it is 8 to 64 letters, digits, dots, dashes; else a new id.

    Anything else could forge log lines or blow them up, so it is replaced rather than cleaned.
    """
    if header is not None and _ACCEPTABLE.fullmatch(header) is not None:
        return header.decode("ascii")
    return new_request_id()


def bind_request_id(request_id: str) -> Token[str]:
    """Put the id on every log line of this task and of those it starts; the token undoes it."""
    return _request_id.set(request_id)


def unbind_request_id(token: Token[str]) -> None:
    """Restore what was bound before."""
    _request_id.reset(token)


def current_request_id() -> str:
    """Return the id of the request under way, or an empty string outside one."""
    return _request_id.get()
