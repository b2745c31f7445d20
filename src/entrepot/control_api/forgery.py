"""Tells requests that a page of another site had a browser send (CSRF, S22).

Browsers attach not only cookies but also a name and a password that they remember, so where a request comes from is
looked at whatever its credentials are. Programs other than browsers say nothing about that, and are believed.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from entrepot.control_api.errors import ForeignRequestError
from entrepot.control_api.request_head import UNSAFE_METHODS

if TYPE_CHECKING:
    from entrepot.control_api.request_head import RequestHead

__all__ = ["CSRF_HEADER", "require_csrf_token", "require_own_site"]

CSRF_HEADER: Final = "x-harbor-csrf-token"
_OWN_SITE: Final = frozenset({"", "same-origin", "none"})


def require_own_site(head: RequestHead, external_url: str) -> None:
    """Refuse a change that a browser sends for a page of another site.

    Args:
        external_url: the address under which people reach the registry, empty when it is that of the request itself.

    Raises:
        ForeignRequestError: the page is of another site.
    """
    if head.method not in UNSAFE_METHODS:
        return
    if head.header("sec-fetch-site") not in _OWN_SITE:
        raise ForeignRequestError("a page of another site may not have a browser change anything here")
    origin = head.header("origin")
    if origin and not _is_own(origin, head, external_url):
        raise ForeignRequestError("a page of another site may not have a browser change anything here")


def require_csrf_token(head: RequestHead, expected: str) -> None:
    """Refuse a change in a session of a browser without the session's token.

    Raises:
        ForeignRequestError: the token is missing or another one.
    """
    presented = head.header(CSRF_HEADER).encode("latin-1")
    if head.method in UNSAFE_METHODS and not hmac.compare_digest(presented, expected.encode()):
        raise ForeignRequestError("CSRF token missing or wrong: send back the header X-Harbor-CSRF-Token")


def _is_own(origin: str, head: RequestHead, external_url: str) -> bool:
    """Whether an origin (RFC 6454) is that of the request, or of the address that people use."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return False
    if external_url:
        own = urlsplit(external_url)
        if (parts.scheme, parts.netloc.lower()) == (own.scheme, own.netloc.lower()):
            return True
    return parts.netloc.lower() == head.header("host").lower()
