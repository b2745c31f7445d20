"""Pages of listings: what the headers say, and that Harbor's own client walks along them to the end."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from harborapi.utils import parse_pagination_url
from hypothesis import given
from hypothesis import strategies as st

from entrepot.control_api.paging import PageInputs, page_headers

_PATH = "/api/v2.0/projects"


def _link(page: int, size: int, total: int, query: str = "", path: str = _PATH) -> str:
    headers = dict(page_headers(PageInputs(page=page, page_size=size), total, path, query))
    return headers.get("link", "")


@pytest.mark.parametrize(("page", "total"), [(1, 0), (1, 10)])
def test_a_single_page_has_no_link(page: int, total: int) -> None:
    """harbor-api.md, section 1."""
    assert page_headers(PageInputs(page=page), total, _PATH, "") == (("x-total-count", str(total)),)


def test_a_page_in_the_middle_names_both_neighbours() -> None:
    """Path-relative addresses in angle brackets, `prev` first, a space on both sides of the comma."""
    assert _link(2, 10, 21) == (
        '</api/v2.0/projects?page=1&page_size=10>; rel="prev" , '
        '</api/v2.0/projects?page=3&page_size=10>; rel="next"'
    )


def test_the_last_page_names_only_the_one_before() -> None:
    assert _link(2, 10, 20) == '</api/v2.0/projects?page=1&page_size=10>; rel="prev"'


def test_a_link_carries_filter_and_order_with_nothing_but_spaces_escaped() -> None:
    """The client sends nothing but the link for later pages, so all of the question must be in it."""
    query = urlencode({"q": "name=~app,level={a b}", "sort": "-name", "page_size": "10", "page": "1"})

    assert _link(1, 10, 11, query) == (
        '</api/v2.0/projects?page=2&page_size=10&q=name=~app,level={a%20b}&sort=-name>; rel="next"'
    )


def test_a_path_that_is_encoded_twice_stays_so() -> None:
    path = "/api/v2.0/projects/p/repositories/a%252Fb/artifacts"

    assert _link(1, 10, 11, path=path) == f'<{path}?page=2&page_size=10>; rel="next"'


def test_a_query_can_neither_end_the_header_nor_the_address() -> None:
    """A line end or a bracket from the query would let a client write headers of ours."""
    link = _link(1, 10, 11, urlencode({"q": 'a>; rel="next"\r\nSet-Cookie: x=y'}))

    assert "\r" not in link
    assert "\n" not in link
    assert link.count(">") == 1


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name not in {"page", "page_size"}),
        st.text(max_size=30),
        max_size=4,
    ),
    st.integers(min_value=1, max_value=100),
)
def test_harbors_client_gets_the_same_question_for_the_next_page(
    fields: dict[str, str], page_size: int
) -> None:
    """What its parser takes from our header asks for the next page, and for nothing else that was not asked before."""
    fields = {
        name.encode(errors="ignore").decode(): value.encode(errors="ignore").decode()
        for name, value in fields.items()
    }
    query = urlencode(fields | {"page_size": str(page_size)})

    address = parse_pagination_url(_link(1, page_size, page_size + 1, query))

    assert address is not None
    url = httpx.URL(f"http://registry.example/api/v2.0{address}")
    assert url.path == _PATH
    assert dict(parse_qsl(url.query.decode(), keep_blank_values=True)) == {
        **fields,
        "page": "2",
        "page_size": str(page_size),
    }


@given(st.integers(min_value=0, max_value=60), st.integers(min_value=1, max_value=25))
def test_walking_the_links_meets_every_page_once(total: int, page_size: int) -> None:
    page, seen = 1, 0
    while True:
        inputs = PageInputs(page=page, page_size=page_size)
        seen += len(range(total)[inputs.offset : inputs.offset + page_size])
        following = parse_pagination_url(_link(page, page_size, total))
        if following is None:
            break
        page = int(dict(parse_qsl(httpx.URL(following).query.decode()))["page"])

    assert seen == total
