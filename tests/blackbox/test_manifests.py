"""Manifests: exact bytes under a tag and a digest, nothing stored that refers to nothing."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    IMAGE_MANIFEST,
    INDEX,
    build_image,
    build_index,
    build_layer,
    digest_of,
)

if TYPE_CHECKING:
    import httpx

_IMAGE: Final = build_image([build_layer({"file": b"content"})])
_OTHER_IMAGE: Final = build_image([build_layer({"file": b"other content"})], "arm64")


def _retype(manifest: bytes, media_type: str, **more: Any) -> bytes:
    """Return a manifest under another media type, laid out as no program would, so that only exact bytes match."""
    document = {**json.loads(manifest), "mediaType": media_type, **more}
    return json.dumps(document, indent=3).encode() + b"\n \n"


def _assert_served(response: httpx.Response, manifest: bytes, media_type: str) -> None:
    assert (response.status_code, response.content) == (200, manifest)
    assert response.headers["content-type"] == media_type
    assert response.headers["content-length"] == str(len(manifest))
    assert response.headers["docker-content-digest"] == digest_of(manifest)


@pytest.mark.parametrize("media_type", [IMAGE_MANIFEST, DOCKER_MANIFEST])
def test_a_manifest_is_served_byte_for_byte_by_tag_and_digest(http: RegistryClient, media_type: str) -> None:
    """White space, order of members and media type are the pusher's."""
    http.push_blobs(_IMAGE)
    manifest = _retype(_IMAGE.manifest, media_type)
    digest = digest_of(manifest)

    response = http.put_manifest("v1", manifest, media_type)

    assert response.status_code == 201, response.text
    assert response.headers["docker-content-digest"] == digest
    _assert_served(http.client.get(response.headers["location"]), manifest, media_type)
    for reference in ("v1", digest):
        _assert_served(http.get_manifest(reference), manifest, media_type)


@pytest.mark.parametrize("media_type", [INDEX, DOCKER_LIST])
def test_an_index_is_served_byte_for_byte_by_tag_and_digest(http: RegistryClient, media_type: str) -> None:
    """Pushed after the images it lists."""
    for image in (_IMAGE, _OTHER_IMAGE):
        http.push_blobs(image)
        assert http.put_manifest(image.digest, image.manifest).status_code == 201
    index = _retype(build_index([_IMAGE, _OTHER_IMAGE]), media_type)

    assert http.put_manifest("multi", index, media_type).status_code == 201

    for reference in ("multi", digest_of(index)):
        _assert_served(http.get_manifest(reference), index, media_type)


def test_head_returns_the_headers_of_get_and_no_body(http: RegistryClient) -> None:
    """By tag and by digest: the same type, length and digest."""
    http.push_blobs(_IMAGE)
    assert http.put_manifest("v1", _IMAGE.manifest).status_code == 201

    for reference in ("v1", _IMAGE.digest):
        head, get = http.request("HEAD", f"manifests/{reference}"), http.get_manifest(reference)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "content-length", "docker-content-digest"):
            assert head.headers[name] == get.headers[name]


def test_a_manifest_is_pushed_under_its_digest(http: RegistryClient) -> None:
    """It can be read, and no tag appears."""
    http.push_blobs(_IMAGE)

    response = http.put_manifest(_IMAGE.digest, _IMAGE.manifest)

    assert response.status_code == 201, response.text
    _assert_served(http.get_manifest(_IMAGE.digest), _IMAGE.manifest, IMAGE_MANIFEST)
    assert http.request("GET", "tags/list").json()["tags"] == []


def test_a_manifest_is_pushed_and_pulled_under_its_sha512_digest(http: RegistryClient) -> None:
    """The digest asked for is the digest answered, in another algorithm too."""
    http.push_blobs(_IMAGE)
    digest = f"sha512:{hashlib.sha512(_IMAGE.manifest).hexdigest()}"

    pushed = http.put_manifest(digest, _IMAGE.manifest)
    got = http.get_manifest(digest)

    assert (pushed.status_code, got.status_code, got.content) == (201, 200, _IMAGE.manifest)
    assert pushed.headers["docker-content-digest"] == got.headers["docker-content-digest"] == digest


def test_a_percent_encoded_digest_is_understood(http: RegistryClient) -> None:
    """Some clients encode the colon of a digest in the path (RFC 3986, section 2.4)."""
    http.push_blobs(_IMAGE)
    assert http.put_manifest(_IMAGE.digest.replace(":", "%3A"), _IMAGE.manifest).status_code == 201

    assert http.get_manifest(_IMAGE.digest.replace(":", "%3A")).content == _IMAGE.manifest
    assert http.has_blob(_IMAGE.config_digest.replace(":", "%3A"))


def test_a_manifest_under_another_digest_is_refused_and_leaves_nothing(http: RegistryClient) -> None:
    """400 DIGEST_INVALID; neither digest is known afterwards (I7)."""
    http.push_blobs(_IMAGE)

    response = http.put_manifest(_OTHER_IMAGE.digest, _IMAGE.manifest)

    assert error_code(response) == (400, "DIGEST_INVALID")
    for digest in (_IMAGE.digest, _OTHER_IMAGE.digest):
        assert http.get_manifest(digest).status_code == 404


@pytest.mark.parametrize("missing", ["config", "layer"])
def test_a_manifest_whose_blob_is_missing_is_refused_and_leaves_nothing(
    http: RegistryClient, missing: str
) -> None:
    """404 MANIFEST_BLOB_UNKNOWN naming the digest; the tag does not appear (I2)."""
    present, absent = (_IMAGE.blobs[1], _IMAGE.blobs[0]) if missing == "config" else _IMAGE.blobs
    http.push_blob(present)

    response = http.put_manifest("v1", _IMAGE.manifest)

    assert error_code(response) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert digest_of(absent) in response.text
    assert http.get_manifest("v1").status_code == 404
    assert http.get_manifest(_IMAGE.digest).status_code == 404


def test_a_blob_of_another_repository_does_not_count(http: RegistryClient) -> None:
    """What the repository cannot read, its manifests cannot refer to."""
    RegistryClient(http.client, f"{http.repository}-other").push_blobs(_IMAGE)

    assert error_code(http.put_manifest("v1", _IMAGE.manifest)) == (404, "MANIFEST_BLOB_UNKNOWN")


def test_an_index_whose_image_is_missing_is_refused(http: RegistryClient) -> None:
    """404 MANIFEST_BLOB_UNKNOWN, and no tag (I2)."""
    http.push_blobs(_IMAGE)
    assert http.put_manifest(_IMAGE.digest, _IMAGE.manifest).status_code == 201

    response = http.put_manifest("multi", build_index([_IMAGE, _OTHER_IMAGE]), INDEX)

    assert error_code(response) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert http.get_manifest("multi").status_code == 404


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"schemaVersion": 2}', b"\xff\xfe{}"],
    ids=["empty", "cut", "list", "bare", "binary"],
)
def test_what_is_no_manifest_is_refused(http: RegistryClient, body: bytes) -> None:
    """400 MANIFEST_INVALID."""
    assert error_code(http.put_manifest("v1", body)) == (400, "MANIFEST_INVALID")


def test_a_manifest_that_contradicts_its_content_type_is_refused(http: RegistryClient) -> None:
    """An image sent as an index would be read differently by different clients."""
    http.push_blobs(_IMAGE)

    assert error_code(http.put_manifest("v1", _IMAGE.manifest, INDEX)) == (400, "MANIFEST_INVALID")


def test_a_manifest_larger_than_four_mebibytes_is_refused(http: RegistryClient) -> None:
    """413 SIZE_INVALID, without storing it."""
    manifest = _retype(_IMAGE.manifest, IMAGE_MANIFEST, annotations={"large": "x" * (4 * 1024 * 1024)})

    assert error_code(http.put_manifest("v1", manifest)) == (413, "SIZE_INVALID")


def test_an_unknown_manifest_is_reported_as_such(http: RegistryClient) -> None:
    """404 MANIFEST_UNKNOWN by tag and digest, and 404 without a body for HEAD."""
    http.push_blobs(_IMAGE)

    for reference in ("absent", _IMAGE.digest):
        assert error_code(http.get_manifest(reference)) == (404, "MANIFEST_UNKNOWN")
        head = http.request("HEAD", f"manifests/{reference}")
        assert (head.status_code, head.content) == (404, b"")


def test_a_manifest_of_an_unknown_repository_is_not_found(http: RegistryClient) -> None:
    """404 with the code for the name or for the manifest, as the specification allows both."""
    status, code = error_code(http.get_manifest("v1"))

    assert status == 404
    assert code in {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"}


@pytest.mark.parametrize("tag", ["-leading", ".leading", "a" * 129, "spa%20ce", "ümlaut"])
def test_an_invalid_tag_is_refused(http: RegistryClient, tag: str) -> None:
    """400, before the body is looked at."""
    http.push_blobs(_IMAGE)

    assert http.put_manifest(tag, _IMAGE.manifest).status_code == 400


def test_a_tag_moves_and_the_old_manifest_stays_readable_by_digest(http: RegistryClient) -> None:
    """The last push wins the tag (I4), and nothing pushed is lost by it (I1)."""
    for image in (_IMAGE, _OTHER_IMAGE):
        http.push_blobs(image)
        assert http.put_manifest("latest", image.manifest).status_code == 201

    _assert_served(http.get_manifest("latest"), _OTHER_IMAGE.manifest, IMAGE_MANIFEST)
    _assert_served(http.get_manifest(_IMAGE.digest), _IMAGE.manifest, IMAGE_MANIFEST)


def test_a_manifest_is_pushed_again_with_the_same_result(http: RegistryClient) -> None:
    """Idempotent: 201 and the same headers, by tag and digest."""
    http.push_blobs(_IMAGE)

    for reference in ("v1", _IMAGE.digest):
        first, second = (http.put_manifest(reference, _IMAGE.manifest) for _ in range(2))
        assert first.status_code == second.status_code == 201
        assert first.headers["location"] == second.headers["location"]
    _assert_served(http.get_manifest("v1"), _IMAGE.manifest, IMAGE_MANIFEST)
