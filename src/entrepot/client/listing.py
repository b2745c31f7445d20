"""Walks the pages of a listing, and finds the one item of a name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl, quote, urlsplit

from entrepot.client.errors import EXIT_NOT_FOUND, EXIT_USAGE, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from entrepot.client.connection import Api

__all__ = ["Item", "equals", "find_item", "list_items", "not_found", "walk_items"]

Item: TypeAlias = dict[str, Any]

_LARGEST_PAGE: Final = 100
_MEANING: Final = "~[{("
"""Characters that say, at the beginning of a value, how it is meant."""
_NEXT: Final = re.compile(r'<([^<>]*)>; rel="next"')


def walk_items(
    api: Api, path: str, query: Mapping[str, str | int] | None = None, limit: int = 0
) -> Iterator[Item]:
    """Yield the items of a listing, page after page, at most `limit` of them unless that is 0. Raises ClientError."""
    size = min(limit, _LARGEST_PAGE) if limit else _LARGEST_PAGE
    page, seen = 1, 0
    asked: dict[str, str | int] = {**(query or {}), "page": page, "page_size": size}
    while True:
        reply = api.get(path, asked)
        items: list[Item] = reply.document or []
        for item in items:
            yield item
            seen += 1
            if seen == limit:
                return
        following = _NEXT.search(reply.headers.get("link", ""))
        if not items or following is None:
            return
        page += 1
        asked = {**asked, **_query_of(following[1]), "page": page}


def _query_of(address: str) -> dict[str, str]:
    """Return what the registry adds to the way to the next page; whatever else it says of it is not followed."""
    return dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))


def list_items(
    api: Api, path: str, query: Mapping[str, str | int] | None = None, limit: int = 0
) -> list[Item]:
    """Return the items of a listing. Raises ClientError."""
    if limit < 0:
        raise ClientError(EXIT_USAGE, "entrepot: --limit is 0 for everything, or a number of items")
    return list(walk_items(api, path, query, limit))


def find_item(
    api: Api, path: str, query: Mapping[str, str | int], wanted: Mapping[str, object], what: str
) -> Item:
    """Return the first item all of whose `wanted` fields are so.

    Args:
        query: narrows the listing; it may let more through, as a filter by a part of a name does.
        what: what it is, for the message when there is none.

    Raises:
        ClientError: there is none.
    """
    for item in walk_items(api, path, query):
        if all(item.get(name) == value for name, value in wanted.items()):
            return item
    raise not_found(what)


def not_found(what: str) -> ClientError:
    """Return the error that something named does not exist."""
    return ClientError(
        EXIT_NOT_FOUND,
        f"entrepot: there is no {what}",
        "Check the name; what you may not see looks the same as what does not exist.",
    )


def equals(field: str, value: str) -> str:
    """Return a term for the query field `q`; the registry undoes one more level of escapes there.

    What means something in a term is quoted, in a list of one.

    Raises:
        ClientError: a value can't be written so.
    """
    if value and value == value.strip() and "," not in value and value[0] not in _MEANING:
        return f"{field}={quote(value, safe='')}"
    mark = "'" if '"' in value else '"'
    if not value or mark in value:
        raise ClientError(EXIT_USAGE, f"entrepot: {value!r} can't be looked for")
    return f"{field}={{{mark}{quote(value, safe='')}{mark}}}"
