"""What all paged lists share: reading `n` and `last`, and naming the next page in a Link header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec

from entrepot.oci.pagination import parse_page_size

if TYPE_CHECKING:
    from entrepot.distribution_api.requests import Request
    from entrepot.distribution_api.responses import Header

__all__ = ["MAX_PAGE_SIZE", "PageRequest", "read_page_request"]

MAX_PAGE_SIZE: Final = 1000
"""Entries of a page, when the client asks for no number, or for a greater one (S36)."""


class PageRequest(msgspec.Struct, frozen=True, gc=False):
    """Which part of a list a client asks for: up to `size` entries that come after the text `after`."""

    size: int
    after: str

    def next_page_link(self, path: str, last: str, query: dict[str, str] | None = None) -> Header:
        """Return the header that names the page behind the entry `last` (RFC 8288), with `query` kept in it."""
        fields = urlencode({**(query or {}), "n": str(self.size), "last": last})
        return (b"link", f'<{path}?{fields}>; rel="next"'.encode("ascii"))


def read_page_request(request: Request) -> PageRequest:
    """Read the page that a request asks for; the first one when it names no entry to begin behind.

    Raises:
        InvalidPageSizeError: `n` is no whole number of at least zero.
        RequestError: a field is given twice.
    """
    size = parse_page_size(request.query("n"), MAX_PAGE_SIZE)
    # No entry holds U+0000, which PostgreSQL does not take: whatever comes after the text comes after its beginning.
    after = (request.query("last") or "").partition("\0")[0]
    return PageRequest(MAX_PAGE_SIZE if size is None else size, after)
