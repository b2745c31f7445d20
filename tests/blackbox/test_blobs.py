"""Reading blobs ("Pulling blobs"), and the answers to what isn't there."""

from __future__ import annotations

import random

from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import digest_of

_SMALL = b"a small blob"
_LARGE = random.Random(4).randbytes(3 * 1024 * 1024 + 1)


def test_the_registry_answers_the_version_check(http: RegistryClient) -> None:
    """GET and HEAD of /v2/ succeed, which is how clients find a registry."""
    assert http.client.get("/v2/").status_code == 200
    assert http.client.head("/v2/").status_code == 200


def test_get_returns_a_small_and_a_large_blob_with_their_digest(http: RegistryClient) -> None:
    """Bytes, length and Docker-Content-Digest."""
    for content in (_SMALL, _LARGE):
        response = http.get_blob(http.push_blob(content))
        assert (response.status_code, response.content) == (200, content)
        assert response.headers["content-length"] == str(len(content))
        assert response.headers["docker-content-digest"] == digest_of(content)


def test_head_returns_the_headers_of_get_and_no_body(http: RegistryClient) -> None:
    """The same length, digest and type."""
    for content in (_SMALL, _LARGE):
        path = f"blobs/{http.push_blob(content)}"
        head, get = http.request("HEAD", path), http.request("GET", path, follow_redirects=True)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "docker-content-digest", "content-type"):
            assert head.headers[name] == get.headers[name]


def test_an_unknown_blob_is_reported_as_such(http: RegistryClient) -> None:
    """404 BLOB_UNKNOWN, and 404 without a body for HEAD."""
    http.push_blob(_SMALL)
    absent = f"sha256:{'1' * 64}"

    assert error_code(http.get_blob(absent)) == (404, "BLOB_UNKNOWN")
    head = http.request("HEAD", f"blobs/{absent}")
    assert (head.status_code, head.content) == (404, b"")


def test_a_malformed_digest_is_reported_as_such(http: RegistryClient) -> None:
    """400 DIGEST_INVALID."""
    http.push_blob(_SMALL)

    assert error_code(http.get_blob("sha256:abc")) == (400, "DIGEST_INVALID")


def test_a_blob_is_seen_only_in_the_repository_it_was_pushed_to(http: RegistryClient) -> None:
    """Stored once for the whole registry, visible through a link only."""
    other = RegistryClient(http.client, f"{http.repository}-other")
    other.push_blob(_LARGE)
    digest = http.push_blob(_SMALL)

    assert not other.has_blob(digest)
    assert error_code(other.get_blob(digest)) == (404, "BLOB_UNKNOWN")


def test_an_invalid_repository_name_is_reported_as_such(http: RegistryClient) -> None:
    """400 NAME_INVALID."""
    response = http.client.get(f"/v2/Upper/case/blobs/{digest_of(_SMALL)}")

    assert error_code(response) == (400, "NAME_INVALID")


def test_a_method_an_endpoint_does_not_take_is_refused(http: RegistryClient) -> None:
    """405 UNSUPPORTED with the methods it takes."""
    response = http.request("POST", f"blobs/{http.push_blob(_SMALL)}")

    assert error_code(response) == (405, "UNSUPPORTED")
    assert "GET" in response.headers["allow"]


def test_a_range_resumes_a_download(http: RegistryClient) -> None:
    """A registry may send the part asked for or everything, but must say truly which of the two it is."""
    response = http.request(
        "GET", f"blobs/{http.push_blob(_LARGE)}", headers={"range": "bytes=1000-"}, follow_redirects=True
    )

    if response.status_code == 206:
        assert response.headers["content-range"] == f"bytes 1000-{len(_LARGE) - 1}/{len(_LARGE)}"
        assert response.content == _LARGE[1000:]
    else:
        assert (response.status_code, response.content) == (200, _LARGE)
