"""Byte ranges a client asks for (RFC 9110, section 14) and those of the chunks it sends (OCI)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "ByteRange",
    "ContentRange",
    "InvalidContentRangeError",
    "UnsatisfiableRangeError",
    "parse_byte_range",
    "parse_content_range",
]

# Digits are bounded so that a header can't ask for a conversion of thousands of them.
_RANGE_PATTERN: Final = re.compile(
    r"bytes=[ \t]*([0-9]{0,64})-([0-9]{0,64})[ \t]*\Z", re.ASCII | re.IGNORECASE
)
_CONTENT_RANGE_PATTERN: Final = re.compile(
    r"(?:([0-9]{1,19})-([0-9]{1,19})|bytes[ ]+([0-9]{1,19})-([0-9]{1,19})/(?:\*|([0-9]{1,19})))\Z",
    re.ASCII | re.IGNORECASE,
)
_LARGEST_POSITION: Final = 2**63 - 2
"""The last byte of the largest blob whose size still fits a signed 64-bit column."""


class UnsatisfiableRangeError(EntrepotError):
    """A range that holds no byte of content of `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the range holds none of the {size} bytes")
        self.size = size


class InvalidContentRangeError(EntrepotError):
    """A `Content-Range` that names no range of bytes."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "the range of a chunk is <first byte>-<last byte>, counted from 0, "
            "or bytes <first byte>-<last byte>/<size or *>"
        )
        self.text = text


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` to `end`, both included, counted from 0; always within the content it was parsed for."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many bytes that is, at least one."""
        return self.end - self.start + 1


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Where a chunk lies in its blob: `start` to `end`, both included; `total` is its size, if known."""

    start: int
    end: int
    total: int | None = None

    @property
    def length(self) -> int:
        """How many bytes the chunk must have, at least one."""
        return self.end - self.start + 1


def parse_byte_range(header: str, size: int) -> ByteRange | None:
    """Return the one range a `Range` header asks of content of `size` bytes; None means the whole content.

    The header is ignored, as RFC 9110 section 14.2 allows, when it is malformed, has another unit or asks
    for several ranges: a single range is all that resuming clients need, and merging ranges has been an
    attack (S40). One that ends before it starts may be ignored or refused by the same section; it is refused,
    since a client that counts wrongly is better told so than sent everything.

    Raises:
        UnsatisfiableRangeError: when the range lies wholly outside the content, or ends before it starts.
    """
    match = _RANGE_PATTERN.match(header)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return _suffix_range(int(last), size) if last else None
    start = int(first)
    end = int(last) if last else max(start, size - 1)
    if start >= size or end < start:
        raise UnsatisfiableRangeError(size)
    return ByteRange(start, min(end, size - 1))


def _suffix_range(length: int, size: int) -> ByteRange | None:
    if length == 0:
        raise UnsatisfiableRangeError(size)
    if size == 0:
        return None  # Satisfiable by section 14.1.2, yet no Content-Range can name an empty range.
    return ByteRange(max(0, size - length), size - 1)


def parse_content_range(header: str) -> ContentRange:
    """Read the range of an uploaded chunk.

    Forms: `0-99` (OCI distribution-spec), `bytes 0-99/*` and `bytes 0-99/1234` (RFC 9110, section 14.4).

    Raises:
        InvalidContentRangeError: for anything else, a range that ends before it starts or one beyond its
            own total.
    """
    match = _CONTENT_RANGE_PATTERN.match(header.strip(" \t"))
    if match is None:
        raise InvalidContentRangeError(header)
    plain_start, plain_end, start_text, end_text, total_text = match.groups()
    start, end = int(plain_start or start_text), int(plain_end or end_text)
    total = int(total_text) if total_text else None
    if not start <= end <= _LARGEST_POSITION or (total is not None and total <= end):
        raise InvalidContentRangeError(header)
    return ContentRange(start, end, total)
