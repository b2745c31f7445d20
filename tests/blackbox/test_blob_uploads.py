"""Pushing a blob in each way the distribution specification has ("Pushing blobs"), and in the wrong ways."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

_CONTENT = random.Random(1).randbytes(300_000)
_DIGEST = digest_of(_CONTENT)
_ABSENT = f"sha256:{'0' * 64}"


def _assert_created(response: httpx.Response, http: RegistryClient, digest: str, content: bytes) -> None:
    assert response.status_code == 201, response.text
    assert response.headers["docker-content-digest"] == digest
    got = http.client.get(response.headers["location"], follow_redirects=True)
    assert (got.status_code, got.content) == (200, content)


def test_a_blob_is_pushed_by_post_and_put(http: RegistryClient) -> None:
    """The bytes come with the PUT."""
    response = http.finish(http.begin(), _DIGEST, _CONTENT)

    _assert_created(response, http, _DIGEST, _CONTENT)


def test_a_blob_is_pushed_by_one_post(http: RegistryClient) -> None:
    """The bytes and the digest come with the POST."""
    response = http.request("POST", "blobs/uploads/", params={"digest": _DIGEST}, content=_CONTENT)

    _assert_created(response, http, _DIGEST, _CONTENT)


def test_a_blob_is_pushed_by_one_patch_without_a_range(http: RegistryClient) -> None:
    """What Docker does: a stream of unknown length, then an empty PUT."""

    def stream() -> Iterator[bytes]:
        for start in range(0, len(_CONTENT), 50_000):
            yield _CONTENT[start : start + 50_000]

    location = http.begin()
    patched = http.client.patch(location, content=stream())
    assert patched.status_code == 202, patched.text
    assert patched.headers["range"] == f"0-{len(_CONTENT) - 1}"

    response = http.finish(patched.headers["location"], _DIGEST)

    _assert_created(response, http, _DIGEST, _CONTENT)


@pytest.mark.parametrize("last_with_put", [False, True], ids=["empty PUT", "last chunk with PUT"])
def test_a_blob_is_pushed_in_chunks_with_ranges(http: RegistryClient, last_with_put: bool) -> None:
    """Each chunk names its place; the Range of each reply ends where the next begins."""
    location, start = http.begin(), 0
    for end in (1, 65_536, 200_000):
        response = http.append(location, _CONTENT[start:end], start)
        assert (response.status_code, response.headers["range"]) == (202, f"0-{end - 1}")
        location, start = response.headers["location"], end
    if not last_with_put:
        location = http.append(location, _CONTENT[start:], start).headers["location"]
        start = len(_CONTENT)

    response = http.finish(location, _DIGEST, _CONTENT[start:])

    _assert_created(response, http, _DIGEST, _CONTENT)


def test_the_empty_blob_is_pushed(http: RegistryClient) -> None:
    """Zero bytes have a digest too."""
    response = http.finish(http.begin(), digest_of(b""))

    _assert_created(response, http, digest_of(b""), b"")


def test_a_blob_is_pushed_under_its_sha512_digest(http: RegistryClient) -> None:
    """The digest asked for is the digest answered, in another algorithm too."""
    digest = f"sha512:{hashlib.sha512(_CONTENT).hexdigest()}"

    response = http.finish(http.begin(), digest, _CONTENT)

    _assert_created(response, http, digest, _CONTENT)


def test_a_blob_of_several_parts_is_pushed(http: RegistryClient) -> None:
    """20 MiB in chunks that fit no part size of any store come back whole."""
    content = random.Random(2).randbytes(20 * 1024 * 1024 + 7)
    location, start = http.begin(), 0
    for end in (3_000_001, 14_000_000, len(content)):
        response = http.append(location, content[start:end], start)
        assert response.status_code == 202, response.text
        location, start = response.headers["location"], end

    response = http.finish(location, digest_of(content))

    _assert_created(response, http, digest_of(content), content)


def test_an_upload_tells_how_much_of_it_is_stored(http: RegistryClient) -> None:
    """GET of the session: 204 with Range and a Location to go on at."""
    location = http.begin()
    assert http.client.get(location).status_code == 204
    location = http.append(location, _CONTENT[:70_000]).headers["location"]

    status = http.client.get(location)

    assert (status.status_code, status.content) == (204, b"")
    assert status.headers["range"] == "0-69999"
    assert http.finish(status.headers["location"], _DIGEST, _CONTENT[70_000:]).status_code == 201


@pytest.mark.parametrize("way", ["POST", "PUT", "PATCH and PUT"])
def test_bytes_of_another_digest_are_refused_and_leave_nothing(http: RegistryClient, way: str) -> None:
    """400 DIGEST_INVALID; neither digest can be read afterwards, and the session is gone (I7)."""
    location = ""
    if way == "POST":
        response = http.request("POST", "blobs/uploads/", params={"digest": _ABSENT}, content=_CONTENT)
    elif way == "PUT":
        location = http.begin()
        response = http.finish(location, _ABSENT, _CONTENT)
    else:
        location = http.append(http.begin(), _CONTENT).headers["location"]
        response = http.finish(location, _ABSENT)

    assert error_code(response) == (400, "DIGEST_INVALID")
    assert not http.has_blob(_ABSENT)
    assert not http.has_blob(_DIGEST)
    if location:
        assert error_code(http.client.get(location)) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize(
    "digest", ["sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "nonsense", "sha256:" + "A" * 64]
)
def test_a_malformed_digest_is_refused_and_the_upload_goes_on(http: RegistryClient, digest: str) -> None:
    """400 DIGEST_INVALID before a byte is touched."""
    location = http.append(http.begin(), _CONTENT).headers["location"]

    assert error_code(http.finish(location, digest)) == (400, "DIGEST_INVALID")

    assert http.finish(location, _DIGEST).status_code == 201


def test_the_final_put_needs_a_digest(http: RegistryClient) -> None:
    """400, and the upload can still be finished."""
    location = http.append(http.begin(), _CONTENT).headers["location"]

    assert http.client.put(location).status_code == 400

    assert http.finish(location, _DIGEST).status_code == 201


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_unknown_upload_is_reported_as_such(http: RegistryClient, method: str) -> None:
    """404 BLOB_UPLOAD_UNKNOWN."""
    http.begin()  # so that the repository exists

    response = http.request(method, "blobs/uploads/AAAAAAAAAAAAAAAAAAAAAA", params={"digest": _ABSENT})

    assert error_code(response) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_an_upload_belongs_to_its_repository(http: RegistryClient) -> None:
    """The session's id is of no use below another name, and unharmed by the attempt."""
    other = RegistryClient(http.client, f"{http.repository}-other")
    other.begin()
    location = http.append(http.begin(), _CONTENT).headers["location"]
    elsewhere = location.replace(f"/{http.repository}/", f"/{other.repository}/")

    assert error_code(other.finish(elsewhere, _DIGEST)) == (404, "BLOB_UPLOAD_UNKNOWN")

    assert http.finish(location, _DIGEST).status_code == 201


def test_the_final_put_can_be_repeated(http: RegistryClient) -> None:
    """A client that lost the reply asks again and is told the same: 201."""
    location = http.append(http.begin(), _CONTENT).headers["location"]
    assert http.finish(location, _DIGEST).status_code == 201

    _assert_created(http.finish(location, _DIGEST), http, _DIGEST, _CONTENT)


def test_a_mount_that_is_not_granted_becomes_an_upload(http: RegistryClient) -> None:
    """POST with `mount` of a blob the other repository lacks: 202 and a Location to push to."""
    response = http.request(
        "POST", "blobs/uploads/", params={"mount": _DIGEST, "from": f"{http.repository}-other"}
    )

    assert response.status_code == 202, response.text
    _assert_created(http.finish(response.headers["location"], _DIGEST, _CONTENT), http, _DIGEST, _CONTENT)


def test_a_blob_is_pushed_twice(http: RegistryClient) -> None:
    """The second push of the same bytes succeeds like the first."""
    assert http.push_blob(_CONTENT) == _DIGEST

    _assert_created(http.finish(http.begin(), _DIGEST, _CONTENT), http, _DIGEST, _CONTENT)


def test_an_upload_is_cancelled(http: RegistryClient) -> None:
    """DELETE: 204 without a body; the session is unknown from then on."""
    location = http.append(http.begin(), _CONTENT).headers["location"]

    response = http.client.delete(location)

    assert (response.status_code, response.content) == (204, b"")
    assert error_code(http.client.get(location)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert error_code(http.client.delete(location)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert error_code(http.finish(location, _DIGEST)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_large_upload_is_cancelled(http: RegistryClient) -> None:
    """The same with more bytes than a part of a multipart upload has."""
    location = http.append(http.begin(), random.Random(5).randbytes(9 * 1024 * 1024)).headers["location"]

    assert http.client.delete(location).status_code == 204
    assert http.client.get(location).status_code == 404


def test_the_algorithm_can_be_announced(http: RegistryClient) -> None:
    """POST with `digest-algorithm=sha512`, a chunk, and a PUT with a digest of that kind."""
    digest = f"sha512:{hashlib.sha512(_CONTENT).hexdigest()}"
    response = http.request("POST", "blobs/uploads/", params={"digest-algorithm": "sha512"})
    assert response.status_code == 202, response.text

    location = http.append(response.headers["location"], _CONTENT).headers["location"]

    _assert_created(http.finish(location, digest), http, digest, _CONTENT)


def test_an_unknown_algorithm_is_refused(http: RegistryClient) -> None:
    """400 before anything begins."""
    response = http.request("POST", "blobs/uploads/", params={"digest-algorithm": "md5"})

    assert response.status_code == 400


def test_a_shortest_chunk_is_advised(http: RegistryClient) -> None:
    """POST names it, and shorter ones are taken all the same."""
    response = http.request("POST", "blobs/uploads/")
    assert int(response.headers["oci-chunk-min-length"]) >= 1024 * 1024

    location, start = response.headers["location"], 0
    for end in (10, 20):
        response = http.append(location, _CONTENT[start:end], start)
        assert response.status_code == 202, response.text
        location, start = response.headers["location"], end
    assert http.finish(location, _DIGEST, _CONTENT[start:]).status_code == 201


def test_an_empty_chunk_is_taken(http: RegistryClient) -> None:
    """PATCH without a byte: 202, and the range stays where it was."""
    location = http.append(http.begin(), _CONTENT[:100]).headers["location"]

    response = http.append(location, b"")

    assert (response.status_code, response.headers["range"]) == (202, "0-99")
    assert http.finish(response.headers["location"], _DIGEST, _CONTENT[100:]).status_code == 201


def test_a_post_with_a_digest_and_no_body_begins_an_upload(http: RegistryClient) -> None:
    """202: the client sends the bytes with the PUT."""
    response = http.request("POST", "blobs/uploads/", params={"digest": _DIGEST})

    assert response.status_code == 202, response.text
    _assert_created(http.finish(response.headers["location"], _DIGEST, _CONTENT), http, _DIGEST, _CONTENT)
