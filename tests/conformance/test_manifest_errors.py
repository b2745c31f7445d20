"""What is refused as a manifest, with which code, and that nothing is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.data import DOCKER_MANIFEST, IMAGE_MANIFEST, INDEX
from tests.conformance.digests import ALGORITHMS, Algorithm, digest_of
from tests.conformance.manifests import (
    EMPTY_DESCRIPTOR,
    descriptor_of,
    encode,
    push_artifact,
    small_manifest,
)
from tests.conformance.sections import Section, cites
from tests.conformance.wire import Repository, describe, error_codes

if TYPE_CHECKING:
    import httpx

    from tests.running.visitors import Visitor

pytestmark = [in_both_setups, cites(Section.PUSHING_MANIFESTS, Section.ERRORS)]

_ABSENT: Final = {
    "mediaType": "application/vnd.oci.image.layer.v1.tar",
    "digest": f"sha256:{'0' * 64}",
    "size": 1,
}


def _assert_refused(
    response: httpx.Response, repository: Repository, body: bytes, status: int, code: str
) -> None:
    assert (response.status_code, set(error_codes(response))) == (status, {code}), describe(response)
    for reference in ("refused", digest_of(body), digest_of(body, "sha512")):
        assert repository.manifest("HEAD", reference).status_code == 404
    assert repository.tags().json()["tags"] == ["before"]


@pytest.fixture
def prepared(repository: Repository) -> Repository:
    """Return a repository that has what small manifests refer to, and one tag."""
    push_artifact(repository, "before", small_manifest("before"))
    return repository


_NOT_MANIFESTS: Final[dict[str, bytes]] = {
    "empty": b"",
    "no-json": b"blablabla",
    "cut": small_manifest("x")[:-1],
    "binary": b"\xff\xfe\x00",
    "list": b"[]",
    "text": b'"manifest"',
    "bare": b"{}",
    "no-schema-version": small_manifest("x", schemaVersion=None),
    "schema-version-3": small_manifest("x", schemaVersion=3),
    "config-is-text": small_manifest("x", config="x"),
    "layers-is-object": small_manifest("x", layers={}),
    "layer-without-digest": small_manifest("x", layers=[{"mediaType": "a/b", "size": 1}]),
    "layer-without-size": small_manifest("x", layers=[{"mediaType": "a/b", "digest": f"sha256:{'0' * 64}"}]),
    "layer-without-type": small_manifest("x", layers=[{"size": 2, "digest": digest_of(b"{}")}]),
    "negative-size": small_manifest("x", layers=[{**EMPTY_DESCRIPTOR, "size": -1}]),
    "bad-digest": small_manifest("x", layers=[{**EMPTY_DESCRIPTOR, "digest": "sha256:0"}]),
    "unknown-algorithm": small_manifest("x", layers=[{**EMPTY_DESCRIPTOR, "digest": f"md5:{'0' * 32}"}]),
    "subject-is-text": small_manifest("x", subject=digest_of(b"x")),
    "annotations-not-texts": small_manifest("x", annotations={"a": 1}),
    "image-and-index": small_manifest("x", manifests=[]),
    "twice": small_manifest("x").replace(b'"schemaVersion": 2', b'"schemaVersion": 2, "schemaVersion": 2'),
    "another-type": small_manifest("x", mediaType=INDEX),
}


@pytest.mark.parametrize("body", _NOT_MANIFESTS.values(), ids=_NOT_MANIFESTS)
def test_what_is_no_manifest_is_refused(prepared: Repository, body: bytes) -> None:
    """400 MANIFEST_INVALID."""
    response = prepared.put_manifest("refused", body, IMAGE_MANIFEST)

    _assert_refused(response, prepared, body, 400, "MANIFEST_INVALID")


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/json", "application/vnd.oci.image.config.v1+json", DOCKER_MANIFEST],
)
def test_a_type_that_is_not_the_manifests_is_refused(prepared: Repository, media_type: str) -> None:
    """400 MANIFEST_INVALID: `Content-Type` and `mediaType` must agree, and be a manifest's."""
    body = small_manifest("typed")

    response = prepared.put_manifest("refused", body, media_type)

    _assert_refused(response, prepared, body, 400, "MANIFEST_INVALID")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_manifest_under_another_digest_is_refused(prepared: Repository, algorithm: Algorithm) -> None:
    """400 DIGEST_INVALID."""
    body = small_manifest("mismatched")

    response = prepared.put_manifest(digest_of(b"another", algorithm), body, IMAGE_MANIFEST)

    _assert_refused(response, prepared, body, 400, "DIGEST_INVALID")


@pytest.mark.parametrize(
    "digest",
    ["sha256:totallywrong", f"sha256:{'A' * 64}", f"md5:{'0' * 32}", f"sha512:{'0' * 64}", "sha256:"],
)
@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "DELETE"])
@cites(Section.PULLING_MANIFESTS)
def test_what_is_no_digest_is_refused(prepared: Repository, method: str, digest: str) -> None:
    """400 (404 would do for the others), and nothing else."""
    body = small_manifest("no digest")
    if method == "PUT":
        response = prepared.put_manifest(digest, body, IMAGE_MANIFEST)
        _assert_refused(response, prepared, body, 400, "DIGEST_INVALID")
    else:
        assert prepared.manifest(method, digest).status_code in {400, 404}


_INCOMPLETE: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "config": (IMAGE_MANIFEST, {"config": _ABSENT, "layers": []}),
    "layer": (IMAGE_MANIFEST, {"config": EMPTY_DESCRIPTOR, "layers": [EMPTY_DESCRIPTOR, _ABSENT]}),
    "both": (IMAGE_MANIFEST, {"config": _ABSENT, "layers": [_ABSENT]}),
    "sha512-layer": (
        IMAGE_MANIFEST,
        {"config": EMPTY_DESCRIPTOR, "layers": [{**_ABSENT, "digest": f"sha512:{'0' * 128}"}]},
    ),
    "image-of-index": (INDEX, {"manifests": [{**_ABSENT, "mediaType": IMAGE_MANIFEST}]}),
    "index-of-index": (INDEX, {"manifests": [{**_ABSENT, "mediaType": INDEX}]}),
}


@cites(Section.PUSHING)
@pytest.mark.parametrize(("media_type", "members"), _INCOMPLETE.values(), ids=_INCOMPLETE)
@pytest.mark.parametrize("by_digest", [False, True], ids=["by-tag", "by-digest"])
def test_a_manifest_that_refers_to_nothing_is_refused(
    prepared: Repository, media_type: str, members: dict[str, Any], by_digest: bool
) -> None:
    """MANIFEST_BLOB_UNKNOWN."""
    body = encode({"schemaVersion": 2, "mediaType": media_type, **members})

    response = prepared.put_manifest(digest_of(body) if by_digest else "refused", body, media_type)

    _assert_refused(response, prepared, body, 404, "MANIFEST_BLOB_UNKNOWN")


def test_a_manifest_that_refers_to_another_repository_is_refused(prepared: Repository) -> None:
    """What is pushed elsewhere is not here."""
    content = f"only elsewhere {prepared.name}".encode()
    prepared.sibling("other").push_blob(content, digest_of(content))
    layer = {"mediaType": "a/b", "digest": digest_of(content), "size": len(content)}
    body = small_manifest("elsewhere", layers=[layer])

    response = prepared.put_manifest("refused", body, IMAGE_MANIFEST)

    _assert_refused(response, prepared, body, 404, "MANIFEST_BLOB_UNKNOWN")


def test_a_manifest_that_is_too_large_is_refused(prepared: Repository) -> None:
    """413; four megabytes are taken (see the kind `large-manifest`)."""
    body = small_manifest("x" * 5_000_000)

    response = prepared.put_manifest("refused", body, IMAGE_MANIFEST)

    assert response.status_code == 413, describe(response)
    assert prepared.manifest("HEAD", "refused").status_code == 404


@pytest.mark.parametrize(
    "name",
    ["Upper/case", "a//b", "-a/b", "a/-b", "a..b", "a___b", "a/b_", "%C3%A4/b", "a%20b/c", "a/" + "b" * 300],
)
@pytest.mark.parametrize("path", ["manifests/latest", "tags/list", f"blobs/{digest_of(b'x')}"])
@cites(Section.PULLING_MANIFESTS)
def test_what_is_no_name_is_refused(client: httpx.Client, name: str, path: str) -> None:
    """400 NAME_INVALID or 404; a name that needs percent-encoding may be refused for that alone."""
    response = Repository(client, name).request("GET", path)

    assert response.status_code in {400, 404}, describe(response)
    if response.status_code == 400:
        assert error_codes(response) == ["UNSUPPORTED" if "%" in name else "NAME_INVALID"]


@pytest.mark.parametrize(
    "name", ["a", "a/b/c/d/e/f/g", "a.b_c__d-e---f", "0/1", "manifests/tags/blobs", "a" * 200]
)
def test_every_name_of_the_grammar_is_taken(client: httpx.Client, visitor: Visitor, name: str) -> None:
    """Also names that look like other parts of a path."""
    repository = Repository(client, visitor.make_room(name))
    push_artifact(repository, "v1", small_manifest(name))

    assert repository.manifest("GET", "v1").content == small_manifest(name)
    assert repository.tags().json() == {"name": name, "tags": ["v1"]}


def test_parameters_of_the_content_type_are_ignored(prepared: Repository) -> None:
    """And not sent back."""
    body = small_manifest("parameters")

    response = prepared.put_manifest("v1", body, f"{IMAGE_MANIFEST}; charset=utf-8")

    assert response.status_code == 201, describe(response)
    assert prepared.manifest("GET", "v1").headers["content-type"] == IMAGE_MANIFEST


@pytest.mark.parametrize("media_type", [IMAGE_MANIFEST, INDEX])
def test_a_manifest_need_not_repeat_its_type(prepared: Repository, media_type: str) -> None:
    """It SHOULD; without, `Content-Type` says what it is."""
    document: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
    if media_type == IMAGE_MANIFEST:
        document = {"schemaVersion": 2, "config": EMPTY_DESCRIPTOR, "layers": []}
    response = prepared.put_manifest("v1", encode(document), media_type)

    assert response.status_code == 201, describe(response)
    pulled = prepared.manifest("GET", "v1")
    assert (pulled.content, pulled.headers["content-type"]) == (encode(document), media_type)


def test_bytes_that_no_program_would_write_are_kept(prepared: Repository) -> None:
    """White space, escapes and order are part of what a digest is of."""
    body = b'\n\t{ "layers" : [ ],"config":%s ,\r\n "mediaType":"%s","schemaVersion":2.0e0 }  ' % (
        encode(EMPTY_DESCRIPTOR).replace(b"application/vnd", b"application\\/vnd"),
        IMAGE_MANIFEST.encode(),
    )
    body = body.replace(b"2.0e0", b"2")

    assert prepared.put_manifest("v1", body, IMAGE_MANIFEST).status_code == 201
    assert prepared.manifest("GET", "v1").content == body


@cites(Section.DELETING_BLOBS)
def test_a_blob_that_a_manifest_needs_is_not_lost(prepared: Repository) -> None:
    """A registry may refuse to delete it; what it serves stays whole."""
    response = prepared.blob("DELETE", EMPTY_DESCRIPTOR["digest"])

    assert response.status_code == 409, describe(response)
    assert prepared.blob("GET", EMPTY_DESCRIPTOR["digest"]).content == b"{}"


@cites(Section.DELETING_MANIFESTS)
def test_a_manifest_that_an_index_needs_is_not_lost(prepared: Repository) -> None:
    """As for a blob; once the index is deleted, it can be."""
    body = small_manifest("child")
    child = push_artifact(prepared, None, body)
    index = encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor_of(body)]})
    assert prepared.put_manifest("index", index, INDEX).status_code == 201

    assert prepared.manifest("DELETE", child).status_code == 409
    assert prepared.manifest("GET", child).content == body
    assert prepared.manifest("DELETE", digest_of(index)).status_code == 202
    assert prepared.manifest("DELETE", child).status_code == 202
