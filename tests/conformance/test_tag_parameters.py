"""A manifest pushed by digest under several tags at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.data import IMAGE_MANIFEST
from tests.conformance.digests import ALGORITHMS, Algorithm, digest_of
from tests.conformance.manifests import push_artifact, small_manifest
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe

if TYPE_CHECKING:
    import httpx

    from tests.conformance.wire import Repository

pytestmark = [in_both_setups, cites(Section.PUSHING_MANIFESTS), pytest.mark.dev_level]

_BODY: Final = small_manifest("tagged by parameters")

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


@pytest.fixture
def prepared(repository: Repository) -> Repository:
    """Return a repository with another manifest under the tag `moving`."""
    push_artifact(repository, "moving", small_manifest("before"))
    return repository


def _named(response: httpx.Response) -> list[str]:
    values = response.headers.get_list("oci-tag")
    return sorted(tag.strip() for value in values for tag in value.split(","))


def _put(repository: Repository, algorithm: Algorithm, *tags: str) -> httpx.Response:
    return repository.put_manifest(digest_of(_BODY, algorithm), _BODY, IMAGE_MANIFEST, tags)


@each_algorithm
@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_manifest_is_tagged_at_once(prepared: Repository, algorithm: Algorithm, count: int) -> None:
    """201 naming every tag; at least ten."""
    tags = [f"tag-{number}" for number in range(count)]

    response = _put(prepared, algorithm, *tags)

    assert (response.status_code, _named(response)) == (201, tags), describe(response)
    for tag in tags:
        pulled = prepared.manifest("GET", tag)
        assert (pulled.content, pulled.headers["docker-content-digest"]) == (
            _BODY,
            digest_of(_BODY, algorithm),
        )
    assert prepared.tags().json()["tags"] == sorted(["moving", *tags])


@each_algorithm
def test_a_tag_is_moved_by_a_parameter(prepared: Repository, algorithm: Algorithm) -> None:
    """One that exists and one that does not."""
    response = _put(prepared, algorithm, "moving", "new")

    assert (response.status_code, _named(response)) == (201, ["moving", "new"])
    assert [prepared.manifest("GET", tag).content for tag in ("moving", "new")] == [_BODY, _BODY]


@each_algorithm
def test_a_tag_that_is_named_twice_is_one_tag(prepared: Repository, algorithm: Algorithm) -> None:
    """`OCI-Tag` names it once."""
    assert _named(_put(prepared, algorithm, "same", "same")) == ["same"]


@pytest.mark.parametrize("bad", ["", "-a", "a b", "a/b", "x" * 129, digest_of(b"a digest")])
def test_one_bad_tag_refuses_all(prepared: Repository, bad: str) -> None:
    """400, and neither the manifest nor any tag is there."""
    response = _put(prepared, "sha256", "good", bad, "moving")

    assert response.status_code == 400, describe(response)
    assert prepared.tags().json()["tags"] == ["moving"]
    assert prepared.manifest("GET", "moving").content == small_manifest("before")
    assert prepared.manifest("HEAD", digest_of(_BODY)).status_code == 404


def test_a_wrong_digest_moves_no_tag(prepared: Repository) -> None:
    """400."""
    response = prepared.put_manifest(digest_of(b"other"), _BODY, IMAGE_MANIFEST, ("moving", "new"))

    assert response.status_code == 400, describe(response)
    assert prepared.tags().json()["tags"] == ["moving"]
    assert prepared.manifest("GET", "moving").content == small_manifest("before")


def test_too_many_tags_are_refused_or_all_taken(prepared: Repository) -> None:
    """A registry may limit their number with a status of the 4xx class; then none is taken."""
    response = _put(prepared, "sha256", *(f"tag-{number}" for number in range(1_000)))

    assert response.status_code in {400, 414, 431}, describe(response)
    assert prepared.tags().json()["tags"] == ["moving"]
