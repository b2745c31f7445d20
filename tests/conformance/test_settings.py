"""What the specification leaves to a registry: manifests with parts elsewhere, and registries that never delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.digests import digest_of
from tests.conformance.kinds import SPARSE_KINDS
from tests.conformance.manifests import push_artifact, small_manifest
from tests.conformance.pushing import push_kind
from tests.conformance.sections import Section, cites
from tests.conformance.wire import Repository, describe, error_codes

if TYPE_CHECKING:
    import httpx


@in_both_setups
@cites(Section.PUSHING, Section.ERRORS)
@pytest.mark.parametrize("kind", SPARSE_KINDS)
def test_a_sparse_manifest_is_refused_by_default(repository: Repository, kind: str) -> None:
    """MANIFEST_BLOB_UNKNOWN for a layer and for an image of an index that nobody pushed."""
    pushed = push_kind(repository, SPARSE_KINDS[kind])
    sparse = SPARSE_KINDS[kind].tags["sparse"]

    for response in (pushed.manifests[sparse.digest], pushed.tags["sparse"]):
        assert (response.status_code, error_codes(response)) == (404, ["MANIFEST_BLOB_UNKNOWN"])
    assert repository.manifest("HEAD", "sparse").status_code == 404


@cites(Section.PUSHING)
def test_a_sparse_index_is_taken_by_setting(sparse_client: httpx.Client) -> None:
    """It is pulled as it was pushed, by tag and digest, and what is elsewhere is not found."""
    repository = Repository(sparse_client, "conformance/sparse")
    kind = SPARSE_KINDS["sparse-index"]
    sparse = kind.tags["sparse"]

    pushed = push_kind(repository, kind)

    assert pushed.manifests[sparse.digest].status_code == 201, describe(pushed.manifests[sparse.digest])
    assert pushed.tags["sparse"].status_code == 201
    for reference in ("sparse", sparse.digest):
        assert repository.manifest("GET", reference).content == sparse.body


@cites(Section.DELETING_MANIFESTS)
def test_a_sparse_index_is_deleted(sparse_client: httpx.Client) -> None:
    """As any other."""
    repository = Repository(sparse_client, "conformance/sparse-deleted")
    sparse = SPARSE_KINDS["sparse-index"].tags["sparse"]
    push_kind(repository, SPARSE_KINDS["sparse-index"])

    assert repository.manifest("DELETE", sparse.digest).status_code == 202
    assert repository.manifest("GET", "sparse").status_code == 404


@cites(Section.PUSHING)
def test_what_was_elsewhere_can_be_pushed_later(sparse_client: httpx.Client) -> None:
    """A sparse index refers to it from then on."""
    repository = Repository(sparse_client, "conformance/sparse-later")
    child = small_manifest("later")
    index = (
        b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": '
        b'[{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "%s", "size": %d}]}'
        % (digest_of(child).encode(), len(child))
    )
    media_type = "application/vnd.oci.image.index.v1+json"
    assert repository.put_manifest("index", index, media_type).status_code == 201

    push_artifact(repository, None, child)

    assert repository.manifest("GET", "index").content == index
    assert repository.manifest("GET", digest_of(child)).content == child


@cites(Section.PUSHING)
def test_a_sparse_image_is_refused_even_then(sparse_client: httpx.Client) -> None:
    """The setting is about indexes: an image without its layers can't be run anywhere."""
    repository = Repository(sparse_client, "conformance/sparse-image")
    kind = SPARSE_KINDS["sparse-image"]

    response = push_kind(repository, kind).tags["sparse"]

    assert (response.status_code, error_codes(response)) == (404, ["MANIFEST_BLOB_UNKNOWN"])


@pytest.mark.parametrize("what", ["tag", "manifest", "blob"])
@cites(Section.DELETING_TAGS, Section.DELETING_MANIFESTS, Section.DELETING_BLOBS, Section.ERRORS)
def test_a_registry_that_deletes_nothing_says_so(keeping_client: httpx.Client, what: str) -> None:
    """400 or 405, and it is there still."""
    repository = Repository(keeping_client, f"conformance/kept-{what}")
    body = small_manifest("kept")
    digest = push_artifact(repository, "kept", body)
    path = {"tag": "manifests/kept", "manifest": f"manifests/{digest}", "blob": f"blobs/{digest_of(b'{}')}"}[
        what
    ]

    response = repository.request("DELETE", path)

    assert (response.status_code, error_codes(response)) == (405, ["UNSUPPORTED"]), describe(response)
    assert repository.request("GET", path).status_code == 200
    assert repository.tags().json()["tags"] == ["kept"]


@cites(Section.CANCEL)
def test_a_registry_that_deletes_nothing_lets_uploads_be_cancelled(keeping_client: httpx.Client) -> None:
    """Nothing that was pushed is lost by it."""
    repository = Repository(keeping_client, "conformance/kept-upload")

    assert repository.client.delete(repository.begin_at()).status_code == 204
