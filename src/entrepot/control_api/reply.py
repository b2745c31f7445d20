"""Answers as values, and the habits of Harbor's statuses: 201 with `Location`, 200 with nothing, lists with a count."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from entrepot.control_api.paging import Neighbours, page_headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.control_api.paging import PageInputs
    from entrepot.control_api.request_head import RequestHead

__all__ = ["DONE", "Error", "Errors", "Headers", "Reply", "created", "json_reply", "page_reply", "text_reply"]

Headers: TypeAlias = tuple[tuple[str, str], ...]

_JSON: Final = "application/json"
_COUNTED: Final = Neighbours()


class Error(msgspec.Struct, frozen=True):
    """One thing that went wrong."""

    code: str
    message: str


class Errors(msgspec.Struct, frozen=True):
    """The body of every refusal."""

    errors: tuple[Error, ...]


class Reply(msgspec.Struct, frozen=True):
    """A status, a body and headers (names in lower case).

    Attributes:
        pieces: the body, made while it is sent, in place of `body`. What breaks then breaks the connection off.
    """

    status: int
    body: bytes = b""
    media_type: str = ""
    headers: Headers = ()
    pieces: AsyncGenerator[bytes] | None = None


DONE: Final = Reply(200)
"""The answer to an update or a deletion."""


def json_reply(value: object, status: int = 200, headers: Headers = ()) -> Reply:
    """Return a value as JSON."""
    return Reply(status, msgspec.json.encode(value), _JSON, headers)


def text_reply(text: str) -> Reply:
    """Return plain text."""
    return Reply(200, text.encode(), "text/plain")


def created(location: str) -> Reply:
    """Return the answer to a creation: the address of the new thing, and no body."""
    return Reply(201, headers=(("location", location),))


def page_reply(
    items: Sequence[object],
    total: int,
    page: PageInputs,
    head: RequestHead,
    neighbours: Neighbours = _COUNTED,
) -> Reply:
    """Return one page of a listing, with the headers by which clients walk on."""
    return json_reply(items, headers=page_headers(page, total, head.raw_path, head.query, neighbours))
