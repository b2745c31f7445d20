"""What paged lists share: the page asked for, and the header that names the next one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.errors import RequestError
from entrepot.distribution_api.pages import MAX_PAGE_SIZE, PageRequest, read_page_request
from entrepot.distribution_api.requests import Request
from entrepot.oci.digest import Digest
from entrepot.oci.pagination import InvalidPageSizeError
from entrepot.registry.pulls.referrers import list_tag

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Message


async def _nothing() -> Message:
    await asyncio.sleep(0)
    return {}


def _read(query: bytes) -> PageRequest:
    scope: dict[str, Any] = {"method": "GET", "path": "/v2/_catalog", "headers": [], "query_string": query}
    return read_page_request(Request(scope, _nothing, PaceLimits(0, 30.0, 60.0)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", PageRequest(MAX_PAGE_SIZE, "")),
        (b"n=7", PageRequest(7, "")),
        (b"n=0", PageRequest(0, "")),
        (b"n=1001", PageRequest(1000, "")),
        (b"last=a%2Fb&n=2", PageRequest(2, "a/b")),
        (b"last=", PageRequest(MAX_PAGE_SIZE, "")),
        (b"last=a%00b", PageRequest(MAX_PAGE_SIZE, "a")),
        (b"last=%FF", PageRequest(MAX_PAGE_SIZE, "\ufffd")),
        (b"last=a+b", PageRequest(MAX_PAGE_SIZE, "a b")),
        (b"other=1", PageRequest(MAX_PAGE_SIZE, "")),
    ],
)
def test_s36_a_page_is_read_from_the_query(query: bytes, expected: PageRequest) -> None:
    """Clamped, and without what no database takes."""
    assert _read(query) == expected


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (b"n=", InvalidPageSizeError),
        (b"n=-1", InvalidPageSizeError),
        (b"n=1&n=2", RequestError),
        (b"last=a&last=b", RequestError),
        (b"last=\xff", RequestError),
    ],
)
def test_s36_what_is_no_page_is_refused(query: bytes, error: type[Exception]) -> None:
    """Nothing is guessed."""
    with pytest.raises(error):
        _read(query)


def test_a_link_names_the_page_behind_an_entry() -> None:
    """Relative to the host, every text encoded, so that nothing in it ends the link (RFC 8288, section 3)."""
    page = PageRequest(5, "whatever")

    assert page.next_page_link("/v2/a/tags/list", "1.0") == (
        b"link",
        b'</v2/a/tags/list?n=5&last=1.0>; rel="next"',
    )
    assert page.next_page_link("/p", '">,ä\r\n&', {"artifactType": "a/b+c"}) == (
        b"link",
        b'</p?artifactType=a%2Fb%2Bc&n=5&last=%22%3E%2C%C3%A4%0D%0A%26>; rel="next"',
    )


@pytest.mark.parametrize(
    ("digest", "tag"),
    [
        (Digest("sha256", "a" * 64), "sha256-" + "a" * 64),
        (Digest("sha512", "a" * 64 + "b" * 64), "sha512-" + "a" * 64),
    ],
)
def test_the_tag_of_a_list_of_referrers(digest: Digest, tag: str) -> None:
    """As the distribution-spec's table has it ("Referrers Tag Schema")."""
    assert list_tag(digest) == tag
