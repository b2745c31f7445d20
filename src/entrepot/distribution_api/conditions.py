"""What a client has already: conditional requests and ranges (RFC 9110, sections 13 and 14).

Every entity tag here is a digest in quotes, so all comparisons are exact; there are no dates to compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.oci.ranges import parse_byte_range

if TYPE_CHECKING:
    from entrepot.distribution_api.requests import Request
    from entrepot.oci.ranges import ByteRange

__all__ = ["entity_tag", "is_known_to_client", "wanted_part"]


def entity_tag(digest: bytes) -> bytes:
    """Return the ETag of content with this digest."""
    return b'"%s"' % digest


def is_known_to_client(request: Request, tag: bytes) -> bool:
    """Whether `If-None-Match` names this entity tag, so that 304 is the answer to GET and HEAD (section 13.1.2).

    The comparison is weak: `W/"x"` matches `"x"`. A digest without quotes is taken for its tag, since clients of older
    registries send it so.
    """
    header = request.header(b"if-none-match")
    if header is None:
        return False
    if tag[1:-1] not in header:
        return header.strip() == b"*"
    return any(_is_same(candidate.strip(b" \t"), tag) for candidate in header.split(b","))


def _is_same(candidate: bytes, tag: bytes) -> bool:
    return candidate.removeprefix(b"W/") == tag or candidate == tag[1:-1]


def wanted_part(request: Request, tag: bytes, size: int) -> ByteRange | None:
    """Return the one range of `size` bytes that a GET asks for, `None` for everything.

    With `If-Range` the range counts only when that is this very tag, compared strongly (section 13.1.5): who has the
    start of something else needs everything.

    Raises:
        UnsatisfiableRangeError: the range holds none of the bytes.
    """
    header = request.text_header(b"range")
    if header is None:
        return None
    condition = request.header(b"if-range")
    if condition is not None and condition.strip(b" \t") != tag:
        return None
    return parse_byte_range(header, size)
