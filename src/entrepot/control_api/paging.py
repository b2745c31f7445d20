"""Pages of a listing, as Harbor's clients ask for them and walk on: `page`, `page_size`, `X-Total-Count`, `Link`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import parse_qsl, quote

import msgspec

__all__ = ["MAX_PAGE_SIZE", "Neighbours", "PageInputs", "page_headers"]

MAX_PAGE_SIZE: Final = 100

_UNESCAPED: Final = "!$'()*,-./:;=?@[]^_`{|}~"
"""What stands in the query of a link as it is, as Harbor writes it. Escaped stays what would end the address or the
header, or would be read as something else when it is parsed again: spaces, `%`, `&`, `+`, `#`, angle brackets,
quotes, backslashes, controls and whatever is not ASCII."""


class PageInputs(msgspec.Struct, kw_only=True, frozen=True):
    """What every listing takes."""

    page: Annotated[int, msgspec.Meta(ge=1, le=10_000_000, description="Number of the page, from 1.")] = 1
    page_size: Annotated[
        int, msgspec.Meta(ge=1, le=MAX_PAGE_SIZE, description="Items per page, at most 100.")
    ] = 10

    @property
    def offset(self) -> int:
        """How many items stand on the pages before."""
        return (self.page - 1) * self.page_size


class Neighbours(msgspec.Struct, frozen=True):
    """Query fields that lead to the pages beside this one, besides its number and size."""

    previous: Mapping[str, str] = {}
    following: Mapping[str, str] = {}


_COUNTED: Final = Neighbours()


def page_headers(
    page: PageInputs, total: int, path: str, query: str, neighbours: Neighbours = _COUNTED
) -> tuple[tuple[str, str], ...]:
    """Return the headers of a page: how many items there are in all, and where the neighbouring pages are.

    Args:
        path: the path of the request as it was sent, still encoded, since names in it may be encoded twice.
        query: the query as it was sent; all of it but the number of the page is carried over.
        neighbours: what else leads to the pages beside this one.
    """
    links: list[str] = []
    if page.page > 1 and page.offset <= total:
        links.append(f'<{_address(path, query, page, page.page - 1, neighbours.previous)}>; rel="prev"')
    if page.offset + page.page_size < total:
        links.append(f'<{_address(path, query, page, page.page + 1, neighbours.following)}>; rel="next"')
    count = ("x-total-count", str(total))
    return (count, ("link", " , ".join(links))) if links else (count,)


def _address(path: str, query: str, page: PageInputs, number: int, more: Mapping[str, str]) -> str:
    fields = dict(parse_qsl(query, keep_blank_values=True))
    fields |= {"page": str(number), "page_size": str(page.page_size), **more}
    pairs = (f"{_field(name)}={quote(value, safe=_UNESCAPED)}" for name, value in sorted(fields.items()))
    return f"{path}?{'&'.join(pairs)}"


def _field(name: str) -> str:
    """A name may not hold what ends a name."""
    return quote(name, safe="")
