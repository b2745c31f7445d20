"""The catalog from outside: repositories of one registry, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.blackbox.http_client import RegistryClient, error_code

if TYPE_CHECKING:
    import httpx

_ENDINGS: Final = ["-x", ".x", "/x", "0", "_x"]
"""In the order of their bytes."""


@pytest.fixture
def names(http: RegistryClient) -> list[str]:
    """Make repositories whose names go on differently, and return these names in byte order."""
    made = [http.repository, *(http.repository + ending for ending in _ENDINGS)]
    for name in reversed(made):
        RegistryClient(http.client, name).begin()
    return made


def _catalog(http: RegistryClient, **query: Any) -> httpx.Response:
    response = http.client.get("/v2/_catalog", params=query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response


def _listed(response: httpx.Response) -> list[str]:
    document = response.json()
    assert list(document) == ["repositories"]
    return list(document["repositories"])


def test_repositories_are_listed_in_byte_order(http: RegistryClient, names: list[str]) -> None:
    """From behind a name that need not exist; whatever else the registry has comes in order too."""
    listed = _listed(_catalog(http, last=http.repository[:-1], n=len(names)))
    assert listed == names
    everything = _listed(_catalog(http))
    assert everything == sorted(everything, key=str.encode)
    assert len(everything) == len(set(everything))


def test_link_leads_through_all_pages(http: RegistryClient, names: list[str]) -> None:
    """Each repository once, the last page without Link."""
    response = _catalog(http, n=2)
    found = _listed(response)
    while "next" in response.links:
        response = http.client.get(response.links["next"]["url"])
        found += _listed(response)

    assert found == sorted(set(found), key=str.encode)
    assert set(names) <= set(found)


def test_n_of_zero_asks_for_an_empty_list(http: RegistryClient, names: list[str]) -> None:
    """Without a Link."""
    assert names
    response = _catalog(http, n=0)
    assert (_listed(response), response.links) == ([], {})


def test_s36_n_is_clamped_or_refused(http: RegistryClient, names: list[str]) -> None:
    """A great number is no error, nonsense is."""
    assert _listed(_catalog(http, n=10**9, last=http.repository[:-1]))[: len(names)] == names
    for size in ("-1", "x", "1.5", ""):
        response = http.client.get("/v2/_catalog", params={"n": size})
        assert error_code(response) == (400, "PAGINATION_NUMBER_INVALID")


def test_s1_no_other_spelling_reaches_the_catalog(http: RegistryClient, names: list[str]) -> None:
    """404 for each, 400 for one that is percent-encoded, and 405 for other methods."""
    assert names
    for path in ("/v2/_catalog/", "/v2//_catalog", "/v2/_Catalog", "/v2/_catalog;x"):
        assert http.client.get(path).status_code == 404
    assert http.client.get("/v2/%2F_catalog").status_code == 400
    assert http.client.delete("/v2/_catalog").status_code == 405
