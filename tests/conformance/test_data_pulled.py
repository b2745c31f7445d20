"""Every kind of content comes back as it was pushed: by tag and by digest, its bytes, its type, its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance.cases import each_blob, each_manifest, each_tag, in_both_setups
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe, judged

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.data import Blob, Manifest
    from tests.conformance.pushing import Pushed

pytestmark = in_both_setups


@cites(Section.PULLING_BLOBS)
@each_blob()
def test_a_blob_is_pulled(pushed: Callable[[str], Pushed], kind: str, blob: Blob) -> None:
    """200, the bytes that were pushed and the digest that was asked for."""
    response = judged(pushed(kind).repository.blob("GET", blob.digest))

    assert (response.status_code, response.content) == (200, blob.content), describe(response)
    assert response.headers["docker-content-digest"] == blob.digest


@cites(Section.EXISTENCE)
@each_blob()
def test_a_blob_is_found_by_head(pushed: Callable[[str], Pushed], kind: str, blob: Blob) -> None:
    """200, length and digest, without a body."""
    response = judged(pushed(kind).repository.blob("HEAD", blob.digest))

    assert (response.status_code, response.content) == (200, b""), describe(response)
    assert response.headers["content-length"] == str(len(blob.content))
    assert response.headers["docker-content-digest"] == blob.digest


def _assert_pulled(pushed: Pushed, reference: str, manifest: Manifest) -> None:
    for accept in ("*/*", f"application/vnd.example.other+json, {manifest.media_type}"):
        response = judged(pushed.repository.manifest("GET", reference, accept))
        assert (response.status_code, response.content) == (200, manifest.body), describe(response)
        assert response.headers["content-type"] == manifest.media_type
        assert response.headers["docker-content-digest"] == manifest.digest


def _assert_found(pushed: Pushed, reference: str, manifest: Manifest) -> None:
    response = judged(pushed.repository.manifest("HEAD", reference))
    assert (response.status_code, response.content) == (200, b""), describe(response)
    assert response.headers["content-type"] == manifest.media_type
    assert response.headers["content-length"] == str(len(manifest.body))
    assert response.headers["docker-content-digest"] == manifest.digest


@cites(Section.PULLING_MANIFESTS)
@each_manifest()
def test_a_manifest_is_pulled_by_digest(
    pushed: Callable[[str], Pushed], kind: str, manifest: Manifest
) -> None:
    """The exact bytes, their type and the digest, also for a client that names the types it understands."""
    _assert_pulled(pushed(kind), manifest.digest, manifest)


@cites(Section.EXISTENCE)
@each_manifest()
def test_a_manifest_is_found_by_head_of_its_digest(
    pushed: Callable[[str], Pushed], kind: str, manifest: Manifest
) -> None:
    """200, type, length and digest, without a body."""
    _assert_found(pushed(kind), manifest.digest, manifest)


@cites(Section.PULLING_MANIFESTS)
@each_tag()
def test_a_manifest_is_pulled_by_tag(
    pushed: Callable[[str], Pushed], kind: str, tag: str, manifest: Manifest
) -> None:
    """The exact bytes, the type they were pushed with and the digest."""
    _assert_pulled(pushed(kind), tag, manifest)


@cites(Section.EXISTENCE)
@each_tag()
def test_a_manifest_is_found_by_head_of_its_tag(
    pushed: Callable[[str], Pushed], kind: str, tag: str, manifest: Manifest
) -> None:
    """200, type, length and digest, without a body."""
    _assert_found(pushed(kind), tag, manifest)
