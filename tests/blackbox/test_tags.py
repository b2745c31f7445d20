"""The tag list and its pages ("Listing Tags")."""

from __future__ import annotations

from typing import Final

import pytest

from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import build_image, build_layer

_IMAGE: Final = build_image([build_layer({"file": b"content"})])
_TAGS: Final = ["1.0", "1.10", "1.2", "A", "_internal", "a", "b"]
"""In the order of their bytes, which is not the order of any dictionary."""


@pytest.fixture
def tagged(http: RegistryClient) -> RegistryClient:
    """Return a repository with these tags, pushed in another order."""
    http.push_blobs(_IMAGE)
    for tag in reversed(_TAGS):
        assert http.put_manifest(tag, _IMAGE.manifest).status_code == 201
    return http


def _list(http: RegistryClient, **query: object) -> list[str]:
    response = http.request("GET", "tags/list", params=query)
    assert response.status_code == 200, response.text
    document = response.json()
    assert document["name"] == http.repository
    return list(document["tags"])


def test_all_tags_are_listed_in_byte_order(tagged: RegistryClient) -> None:
    """Without n, everything, and no Link."""
    assert _list(tagged) == _TAGS
    assert "link" not in tagged.request("GET", "tags/list").headers


def test_n_limits_and_last_continues(tagged: RegistryClient) -> None:
    """`last` need not be a tag that exists."""
    assert _list(tagged, n=2) == _TAGS[:2]
    assert _list(tagged, n=2, last="1.10") == _TAGS[2:4]
    assert _list(tagged, last="1.11") == _TAGS[2:]
    assert _list(tagged, last="zzz") == []


def test_link_leads_through_all_pages(tagged: RegistryClient) -> None:
    """Following Link yields each tag once, and the last page has none."""
    found: list[str] = []
    response = tagged.request("GET", "tags/list", params={"n": 3})
    pages = 1
    found.extend(response.json()["tags"])
    while "next" in response.links:
        response = tagged.client.get(response.links["next"]["url"])
        found.extend(response.json()["tags"])
        pages += 1

    assert (found, pages) == (_TAGS, 3)


def test_n_of_zero_asks_for_an_empty_list(tagged: RegistryClient) -> None:
    """An empty list, and no Link: the specification says so outright."""
    assert _list(tagged, n=0) == []
    assert "link" not in tagged.request("GET", "tags/list", params={"n": 0}).headers


@pytest.mark.parametrize("size", ["-1", "x", "1.5", ""])
def test_a_page_size_that_is_no_number_is_refused(tagged: RegistryClient, size: str) -> None:
    """400 PAGINATION_NUMBER_INVALID."""
    response = tagged.request("GET", "tags/list", params={"n": size})

    assert error_code(response) == (400, "PAGINATION_NUMBER_INVALID")


def test_an_unknown_repository_has_no_tag_list(http: RegistryClient) -> None:
    """404 NAME_UNKNOWN."""
    assert error_code(http.request("GET", "tags/list")) == (404, "NAME_UNKNOWN")


def test_last_may_be_any_text(tagged: RegistryClient) -> None:
    """The list goes on behind where it would stand, also where a database could not take the text."""
    for last, expected in (
        ("1.0\0z", _TAGS[1:]),
        ("@", _TAGS[3:]),
        ("ü", []),
        ("\0", _TAGS),
        ("z" * 1000, []),
    ):
        assert _list(tagged, last=last) == expected


def test_s36_n_is_clamped(tagged: RegistryClient) -> None:
    """A great number asks for as much as there is."""
    assert _list(tagged, n=10**9) == _list(tagged, n="9" * 300) == _TAGS


def test_i5_tags_of_a_deleted_manifest_are_gone(tagged: RegistryClient) -> None:
    """All of them with it; one that is deleted by itself leaves the others."""
    assert tagged.request("DELETE", "manifests/1.10").status_code == 202
    assert _list(tagged) == [tag for tag in _TAGS if tag != "1.10"]

    assert tagged.request("DELETE", f"manifests/{_IMAGE.digest}").status_code == 202
    assert _list(tagged) == []
