"""What records of acts tell of the request that they come from."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.principals import Origin
from entrepot.observability.request_ids import current_request_id

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Push
    from entrepot.auth.principals import Principal
    from entrepot.distribution_api.requests import Request

__all__ = ["answered_as", "with_origin"]

_SUCCESS: Final = {
    "manifest.push": 201,
    "manifest.delete": 202,
    "blob.delete": 202,
    "upload.begin": 201,
    "upload.finish": 201,
}
"""Statuses with which acts are answered that a unit records; a POST that only begins a session differs."""

_MOST_PROGRAM_BYTES: Final = 512
"""More than a record keeps, which masks secrets before it cuts; all would only fill the memory of what was read."""


def with_origin(peer: Principal, request: Request, operation: str) -> Principal:
    """Return the peer with what records tell of the request under way."""
    origin = Origin(
        request_id=current_request_id(),
        user_agent=_program((request.header(b"user-agent") or b"")[:_MOST_PROGRAM_BYTES]),
        method=request.method,
        path=_plain(request.path),
        success_status=_SUCCESS.get(operation, 0),
    )
    return msgspec.structs.replace(peer, origin=origin)


def answered_as(grant: Grant[Push], status: int) -> Grant[Push]:
    """Return the grant for what is answered with another status than its operation mostly is."""
    origin = msgspec.structs.replace(grant.principal.origin, success_status=status)
    return msgspec.structs.replace(grant, principal=msgspec.structs.replace(grant.principal, origin=origin))


@lru_cache(maxsize=256)
def _program(header: bytes) -> str:
    return _plain(header.decode("latin-1"))


def _plain(text: str) -> str:
    """Return what a client sent as one line of ASCII, which every store and terminal can take."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("unicode_escape").decode("ascii")
