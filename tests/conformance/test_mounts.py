"""Mounting a blob of another repository instead of uploading it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.data import EMPTY, IMAGE_MANIFEST
from tests.conformance.digests import ALGORITHMS, Algorithm, digest_of
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe
from tests.running.visitors import Access

if TYPE_CHECKING:
    import httpx

    from tests.conformance.wire import Repository

pytestmark = [in_both_setups, cites(Section.MOUNT)]

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def _assert_mounted(response: httpx.Response, repository: Repository, digest: str, content: bytes) -> None:
    assert response.status_code == 201, describe(response)
    assert response.headers["docker-content-digest"] == digest
    assert repository.client.get(repository.resolve(response)).content == content
    assert repository.blob("GET", digest).content == content


def _assert_upload_began(
    response: httpx.Response, repository: Repository, digest: str, content: bytes
) -> None:
    """202 is no failure: the session takes the bytes."""
    assert response.status_code == 202, describe(response)
    assert repository.blob("HEAD", digest).status_code == 404
    pushed = repository.close(repository.resolve(response), digest, content)
    assert pushed.status_code == 201, describe(pushed)


@each_algorithm
def test_a_blob_is_mounted(repository: Repository, algorithm: Algorithm) -> None:
    """201 from the repository that is named."""
    content = f"to be mounted {repository.name}".encode()
    digest = digest_of(content, algorithm)
    source = repository.sibling("source")
    source.push_blob(content, digest)

    _assert_mounted(repository.mount(digest, source.name), repository, digest, content)


@each_algorithm
def test_a_blob_is_mounted_without_a_name(
    repository: Repository, access: Access, algorithm: Algorithm
) -> None:
    """201 from any repository that has it and that the client may read: by a token only those it is good for."""
    content = f"to be found {repository.name}".encode()
    digest = digest_of(content, algorithm)
    repository.sibling("source").push_blob(content, digest)

    response = repository.mount(digest, None)

    if access is Access.TOKENS:
        _assert_upload_began(response, repository, digest, content)
    else:
        _assert_mounted(response, repository, digest, content)


@each_algorithm
def test_a_blob_that_is_here_already_is_mounted(repository: Repository, algorithm: Algorithm) -> None:
    """201 from elsewhere, and from itself."""
    content = f"here already {repository.name}".encode()
    digest = digest_of(content, algorithm)
    for where in (repository, repository.sibling("source")):
        where.push_blob(content, digest)

    for source in (repository.sibling("source").name, repository.name):
        _assert_mounted(repository.mount(digest, source), repository, digest, content)


@each_algorithm
@pytest.mark.parametrize("named", [True, False], ids=["from", "anonymous"])
def test_a_blob_that_is_nowhere_is_uploaded(
    repository: Repository, algorithm: Algorithm, named: bool
) -> None:
    """202 and a session, from a repository that exists."""
    source = repository.sibling("source")
    source.push_blob(b"other", digest_of(b"other"))
    content = f"nowhere {repository.name}".encode()
    digest = digest_of(content, algorithm)

    response = repository.mount(digest, source.name if named else None)

    _assert_upload_began(response, repository, digest, content)


@each_algorithm
def test_a_blob_is_not_mounted_from_where_it_is_not(repository: Repository, algorithm: Algorithm) -> None:
    """202, although a third repository has it."""
    content = f"in a third place {repository.name}".encode()
    digest = digest_of(content, algorithm)
    repository.sibling("third").push_blob(content, digest)
    repository.sibling("source").push_blob(b"other", digest_of(b"other"))

    response = repository.mount(digest, repository.sibling("source").name)

    _assert_upload_began(response, repository, digest, content)


@each_algorithm
def test_a_blob_is_not_mounted_from_an_unknown_repository(
    repository: Repository, algorithm: Algorithm
) -> None:
    """202."""
    content = f"from nowhere {repository.name}".encode()
    digest = digest_of(content, algorithm)

    _assert_upload_began(repository.mount(digest, f"{repository.name}-none"), repository, digest, content)


def test_a_deleted_blob_is_not_mounted(repository: Repository) -> None:
    """202 once its only repository has let go of it."""
    content = f"deleted {repository.name}".encode()
    digest, source = digest_of(content), repository.sibling("source")
    source.push_blob(content, digest)
    assert source.blob("DELETE", digest).status_code == 202

    _assert_upload_began(repository.mount(digest, source.name), repository, digest, content)


def test_a_mounted_blob_outlives_its_source(repository: Repository) -> None:
    """Deleting it there leaves it here, and a manifest can refer to it."""
    content = f"outlives {repository.name}".encode()
    digest, source = digest_of(content), repository.sibling("source")
    source.push_blob(content, digest)
    repository.mount(digest, source.name)
    source.blob("DELETE", digest)
    descriptor = {"mediaType": EMPTY, "digest": digest, "size": len(content)}
    body = json.dumps({"schemaVersion": 2, "config": descriptor, "layers": [descriptor]}).encode()

    assert repository.put_manifest("mounted", body, IMAGE_MANIFEST).status_code == 201
    assert repository.blob("GET", digest).content == content
