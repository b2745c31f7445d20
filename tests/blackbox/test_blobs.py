"""Reading blobs ("Pulling blobs"), and the answers to what isn't there."""

from __future__ import annotations

import random
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from entrepot.processes.assignment import Role
from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import build_image, build_layer, digest_of
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import wait_for
from tests.running.authorising import proof_of

if TYPE_CHECKING:
    import httpx

    from tests.running.entrepot import RunningEntrepot

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


def _part(http: RegistryClient, blob: bytes, text: str, **headers: str) -> httpx.Response:
    """Ask for a range; where the registry sends the client to the object store, that answers."""
    digest = http.push_blob(blob)
    return http.request("GET", f"blobs/{digest}", headers={"range": text, **headers}, follow_redirects=True)


def test_a_range_resumes_a_download(http: RegistryClient) -> None:
    """206 with the part asked for, from the start, the middle or the end."""
    for content in (_SMALL, _LARGE):
        size = len(content)
        for text, start, end in (("5-", 5, size), ("0-0", 0, 1), ("3-9", 3, 10), ("-4", size - 4, size)):
            response = _part(http, content, f"bytes={text}")

            assert (response.status_code, response.content) == (206, content[start:end])
            assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"


def test_a_range_outside_a_blob_is_refused(http: RegistryClient) -> None:
    """416 with the blob's size, from which a client sees that it has everything."""
    for content in (_SMALL, _LARGE):
        response = _part(http, content, f"bytes={len(content)}-")

        assert error_code(response) == (416, "RANGE_INVALID")
        assert response.headers["content-range"] == f"bytes */{len(content)}"


def test_s40_ten_thousand_ranges_are_no_work(http: RegistryClient) -> None:
    """The whole blob, without looking at each of them (S40)."""
    text = "bytes=" + ",".join(["0-"] * 10_000)
    digest = http.push_blob(_SMALL)
    http.get_blob(digest)
    started = time.perf_counter()

    response = http.request("GET", f"blobs/{digest}", headers={"range": text})

    assert (response.status_code, response.content) == (200, _SMALL)
    assert time.perf_counter() - started < 10


def test_if_range_protects_a_download_of_something_else(http: RegistryClient) -> None:
    """The part of the same content, everything of another."""
    digest = http.push_blob(_SMALL)
    for tag, expected in ((f'"{digest}"', (206, _SMALL[2:])), ('"other"', (200, _SMALL))):
        headers = {"range": "bytes=2-", "if-range": tag}
        response = http.request("GET", f"blobs/{digest}", headers=headers)

        assert (response.status_code, response.content) == expected


def test_a_known_blob_is_not_sent_again(http: RegistryClient) -> None:
    """304 for GET and HEAD with the ETag that HEAD told."""
    for content in (_SMALL, _LARGE):
        path = f"blobs/{http.push_blob(content)}"
        tag = http.request("HEAD", path).headers["etag"]
        for method in ("GET", "HEAD"):
            response = http.request(method, path, headers={"if-none-match": f'"other", W/{tag}'})

            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["etag"] == tag


def test_a_known_manifest_is_not_sent_again_until_its_tag_moves(http: RegistryClient) -> None:
    """304 saves the bytes; the moved tag is seen at once."""
    manifests: list[bytes] = []
    for number in (1, 2):
        image = build_image([build_layer({"number": b"%d" % number})])
        http.push_blobs(image)
        manifests.append(image.manifest)
    first = http.put_manifest("moving", manifests[0])
    assert first.status_code == 201
    tag = http.get_manifest("moving").headers["etag"]

    for method in ("GET", "HEAD"):
        response = http.request(method, "manifests/moving", headers={"if-none-match": tag})
        assert (response.status_code, response.content) == (304, b"")
    assert http.put_manifest("moving", manifests[1]).status_code == 201
    response = http.request("GET", "manifests/moving", headers={"if-none-match": tag})

    assert (response.status_code, response.content) == (200, manifests[1])


def test_a_browser_never_shows_a_blob(http: RegistryClient) -> None:
    """What somebody pushed is saved as a file and not guessed at."""
    headers = http.request("HEAD", f"blobs/{http.push_blob(b'<script>')}").headers

    assert headers["content-disposition"] == "attachment"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "application/octet-stream"


def test_clients_that_vanish_leave_no_open_file(http: RegistryClient, registry: RunningEntrepot) -> None:
    """Forty downloads are dropped in the middle, of parts and of all: no more descriptors than before (I12)."""
    blob = random.Random(40).randbytes(24 * 1024 * 1024)
    path = f"/v2/{http.repository}/blobs/{http.push_blob(blob)}"
    head = "".join(f"{name}: {value}\r\n" for name, value in proof_of(http.client.head(path)).items())
    descriptors = Path(f"/proc/{registry.pid(Role.HTTP)}/fd")
    assert http.client.get("/v2/").status_code == 200
    before = len(list(descriptors.iterdir()))

    for wanted, status in 20 * [("bytes=1-", b"HTTP/1.1 206"), ("none", b"HTTP/1.1 200")]:
        with socket.create_connection(("127.0.0.1", registry.port)) as client:
            client.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: {wanted}\r\n{head}\r\n".encode()
            )
            assert client.recv(12) == status

    # Connections to an object store may be kept for later requests.
    allowed = before + 10
    wait_for(
        lambda: len(list(descriptors.iterdir())) <= allowed,
        PATIENCE_SECONDS,
        lambda: f"{before} before: {[link.readlink() for link in descriptors.iterdir()]}",
    )
    assert _part(http, blob, "bytes=7-").content == blob[7:]
