"""How paths are read: from their end, since names contain slashes, and into nothing but the listed endpoints."""

from __future__ import annotations

import pytest

from entrepot.distribution_api import routes
from entrepot.distribution_api.errors import MethodNotAllowedError, RouteUnknownError
from entrepot.distribution_api.routes import ROUTES, Endpoint, find_route

_DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("method", "path", "operation", "name", "reference"),
    [
        ("GET", "/v2/", "ping", "", ""),
        ("GET", "/v2", "ping", "", ""),
        ("GET", "/v2/a/manifests/latest", "manifest.pull", "a", "latest"),
        ("HEAD", "/v2/a/b/c/d/e/manifests/latest", "manifest.pull", "a/b/c/d/e", "latest"),
        ("PUT", "/v2/a/manifests/manifests/latest", "manifest.push", "a/manifests", "latest"),
        ("GET", f"/v2/a/blobs/{_DIGEST}", "blob.pull", "a", _DIGEST),
        ("GET", f"/v2/a/blobs/uploads/blobs/{_DIGEST}", "blob.pull", "a/blobs/uploads", _DIGEST),
        ("POST", "/v2/a/b/blobs/uploads/", "upload.begin", "a/b", ""),
        ("PATCH", "/v2/a/b/blobs/uploads/42", "upload.append", "a/b", "42"),
        ("PUT", "/v2/a/blobs/uploads/42", "upload.finish", "a", "42"),
        ("GET", "/v2/a/blobs/uploads/42", "upload.status", "a", "42"),
        ("GET", "/v2/tags/list/tags/list", "tags.list", "tags/list", ""),
        ("GET", "/v2/a/tags/list", "tags.list", "a", ""),
        ("GET", "/v2/_catalog", "catalog.list", "", ""),
        ("GET", f"/v2/a/referrers/{_DIGEST}", "referrers.list", "a", _DIGEST),
        ("GET", f"/v2/a/b/c/referrers/{_DIGEST}", "referrers.list", "a/b/c", _DIGEST),
        ("GET", f"/v2/referrers/referrers/{_DIGEST}", "referrers.list", "referrers", _DIGEST),
        ("GET", f"/v2/a/blobs/uploads/referrers/{_DIGEST}", "referrers.list", "a/blobs/uploads", _DIGEST),
        ("GET", "/v2/a/referrers/blobs/uploads/42", "upload.status", "a/referrers", "42"),
        ("GET", "/v2/_catalog/tags/list", "tags.list", "_catalog", ""),
    ],
)
def test_a_path_is_read_from_its_end(
    method: str, path: str, operation: str, name: str, reference: str
) -> None:
    """Whatever a repository is called, its endpoints are told apart."""
    route, target = find_route(method, path)

    assert route.operation == operation
    assert (target.name, target.reference) == (name, reference)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v2/a",
        "/v2/a/",
        "/v2/manifests/latest",
        "/v2/blobs/uploads/",
        "/v2/tags/list",
        "/v2/a/manifests/",
        "/v2/a/manifests/latest/",
        "/v2/a/tags/list/",
        "/v2/a/blobs/",
        f"/v2/a/blobs/{_DIGEST}/",
        "/v2/a/MANIFESTS/latest",
        "/v2/_catalog/",
        "/v2/_CATALOG",
        "/v2//_catalog",
        "/v2/_catalog;x",
        "/v2/a/_catalog",
        f"/v2/referrers/{_DIGEST}",
        "/v2/a/referrers/",
        f"/v2/a/referrers/{_DIGEST}/",
        f"/v2/a/Referrers/{_DIGEST}",
        "/v3/a/manifests/latest",
    ],
)
def test_s1_a_path_beside_the_table_is_no_endpoint(path: str) -> None:
    """Variations of a path never reach a handler by another name (S1)."""
    with pytest.raises(RouteUnknownError):
        find_route("GET", path)


def test_a_known_path_names_the_methods_it_takes() -> None:
    """A wrong method is told apart from a wrong path."""
    with pytest.raises(MethodNotAllowedError) as caught:
        find_route("POST", "/v2/a/manifests/latest")

    assert caught.value.allowed == ("GET", "HEAD", "PUT", "DELETE")


def test_every_endpoint_has_a_route() -> None:
    """The table of endpoints and the table of routes speak of the same things."""
    assert {route.endpoint for route in ROUTES} == set(Endpoint)


def test_what_paths_mean_is_kept_of_usual_ones_only_i12() -> None:
    """Neither what is refused nor what is long fills the memory: anybody may ask for anything."""
    routes._find_kept.cache_clear()
    usual, long = "/v2/team/app/manifests/v1", f"/v2/team/{'a' * 600}/manifests/v1"
    for _ in range(2):
        assert find_route("GET", usual)[1].reference == "v1"
        assert find_route("GET", long)[1].name == f"team/{'a' * 600}"
        with pytest.raises(RouteUnknownError):
            find_route("GET", "/v2/team/app/nothing/v1")
        with pytest.raises(MethodNotAllowedError):
            find_route("PATCH", usual)

    kept = routes._find_kept.cache_info()
    assert (kept.currsize, kept.hits, kept.maxsize) == (1, 1, 4096)
