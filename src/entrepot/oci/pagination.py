"""The page size a list may be asked for (OCI distribution-spec, "Listing Tags"): clamped (S36)."""

from __future__ import annotations

import re
from typing import Final

from entrepot.kernel.errors import EntrepotError

__all__ = ["InvalidPageSizeError", "parse_page_size"]

_DIGITS: Final = re.compile(r"[0-9]+\Z", re.ASCII)


class InvalidPageSizeError(EntrepotError):
    """A page size that is no whole number of at least zero."""

    def __init__(self, text: str) -> None:
        super().__init__("the page size `n` is a whole number, zero or more")
        self.text = text


def parse_page_size(text: str | None, maximum: int) -> int | None:
    """Return the page size `text` asks for, `maximum` at most; None when it asks for none.

    Zero is a size of its own: the client wants an empty page. The distribution-spec lets a registry return
    fewer entries than asked for, hence too large a number is clamped and not refused.

    Raises:
        InvalidPageSizeError: for anything but ASCII digits.
    """
    if text is None:
        return None
    if _DIGITS.match(text) is None:
        raise InvalidPageSizeError(text)
    significant = text.lstrip("0")
    if len(significant) > len(str(maximum)):  # Never converts thousands of digits.
        return maximum
    return min(int(significant or "0"), maximum)
