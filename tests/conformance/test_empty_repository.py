"""A repository to which nobody has pushed: nothing is found in it, and asking does no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.data import INDEX
from tests.conformance.digests import ALGORITHMS, Algorithm, digest_of
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe, error_codes

if TYPE_CHECKING:
    from tests.conformance.wire import Repository

pytestmark = in_both_setups


@cites(Section.TAGS, Section.ERRORS)
def test_an_unknown_repository_has_no_list_of_tags(repository: Repository) -> None:
    """404 NAME_UNKNOWN."""
    response = repository.tags()

    assert (response.status_code, error_codes(response)) == (404, ["NAME_UNKNOWN"]), describe(response)


@cites(Section.TAGS)
def test_a_repository_without_tags_has_an_empty_list(repository: Repository) -> None:
    """200 and no tags, once something was pushed."""
    repository.push_blob(b"x", digest_of(b"x"))
    response = repository.tags()

    assert (response.status_code, response.json()) == (200, {"name": repository.name, "tags": []})


@cites(Section.REFERRERS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_unknown_repository_has_an_empty_list_of_referrers(
    repository: Repository, algorithm: Algorithm
) -> None:
    """200 and an empty index: a 404 would say that there is no such API."""
    response = repository.referrers(digest_of(b"nothing", algorithm))

    assert response.status_code == 200, describe(response)
    assert response.headers["content-type"] == INDEX
    assert response.json() == {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}


@cites(Section.PULLING_MANIFESTS, Section.EXISTENCE, Section.DELETING_MANIFESTS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("reference", ["latest", *(digest_of(b"nothing", one) for one in ALGORITHMS)])
@pytest.mark.parametrize("exists", [False, True], ids=["unknown", "known"])
def test_a_manifest_that_is_not_there_is_not_found(
    repository: Repository, method: str, reference: str, exists: bool
) -> None:
    """404, in a repository that exists or does not."""
    if exists:
        repository.push_blob(b"x", digest_of(b"x"))
    response = repository.manifest(method, reference)

    assert response.status_code == 404, describe(response)
    if method != "HEAD":
        assert set(error_codes(response)) <= {"MANIFEST_UNKNOWN", "NAME_UNKNOWN"}


@cites(Section.PULLING_BLOBS, Section.EXISTENCE, Section.DELETING_BLOBS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("exists", [False, True], ids=["unknown", "known"])
def test_a_blob_that_is_not_there_is_not_found(
    repository: Repository, method: str, algorithm: Algorithm, exists: bool
) -> None:
    """404, in a repository that exists or does not."""
    if exists:
        repository.push_blob(b"x", digest_of(b"x"))
    response = repository.blob(method, digest_of(b"nothing", algorithm))

    assert response.status_code == 404, describe(response)
    if method != "HEAD":
        assert set(error_codes(response)) <= {"BLOB_UNKNOWN", "NAME_UNKNOWN"}


@cites(Section.PULLING_BLOBS)
def test_a_blob_of_one_repository_is_not_in_another(repository: Repository) -> None:
    """What was pushed elsewhere is not found here."""
    content = b"of another repository"
    repository.sibling("other").push_blob(content, digest_of(content))

    assert repository.blob("GET", digest_of(content)).status_code == 404


@cites(Section.PROXYING)
def test_a_namespace_in_the_query_is_ignored(repository: Repository) -> None:
    """Clients that know several registries send `ns`; who is no proxy need not heed it."""
    repository.push_blob(b"x", digest_of(b"x"))

    response = repository.request("GET", f"blobs/{digest_of(b'x')}", params={"ns": "docker.io"})

    assert (response.status_code, response.content) == (200, b"x")
