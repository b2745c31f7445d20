"""The list of referrers: order of pushes, filter, pages, and lists that old clients kept under a tag."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.data import IMAGE_MANIFEST, INDEX
from tests.conformance.digests import ALGORITHMS, Algorithm, digest_of, referrers_tag
from tests.conformance.manifests import descriptor_of, encode, push_artifact, small_manifest
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe, error_codes

if TYPE_CHECKING:
    import httpx

    from tests.conformance.wire import Repository

pytestmark = [in_both_setups, cites(Section.REFERRERS)]


def _listed(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, describe(response)
    assert response.headers["content-type"] == INDEX
    manifests: list[dict[str, Any]] = response.json()["manifests"]
    return manifests


def _digests(response: httpx.Response) -> list[str]:
    return sorted(entry["digest"] for entry in _listed(response))


def _subject(repository: Repository) -> dict[str, Any]:
    return descriptor_of(small_manifest(f"subject of {repository.name}"))


def _refer(repository: Repository, name: str, **more: Any) -> str:
    body = small_manifest(name, subject=_subject(repository), **more)
    return push_artifact(repository, None, body)


@pytest.mark.parametrize(
    "digest",
    ["latest", "sha256:short", f"sha256:{'A' * 64}", f"sha512:{'0' * 64}", f"md5:{'0' * 32}", "sha256%3A"],
)
@cites(Section.ERRORS)
def test_what_is_no_digest_is_refused(repository: Repository, digest: str) -> None:
    """400 DIGEST_INVALID."""
    response = repository.referrers(digest)

    assert (response.status_code, error_codes(response)) == (400, ["DIGEST_INVALID"]), describe(response)


@cites(Section.PUSHING)
@pytest.mark.parametrize("subject_first", [True, False], ids=["subject-first", "referrer-first"])
def test_subject_and_referrer_are_pushed_in_either_order(repository: Repository, subject_first: bool) -> None:
    """A referrer is listed before its subject arrives and after."""
    subject = small_manifest(f"subject of {repository.name}")
    if subject_first:
        push_artifact(repository, "subject", subject)
    digest = _refer(repository, "referrer")
    assert _digests(repository.referrers(digest_of(subject))) == [digest]
    push_artifact(repository, "subject", subject)

    assert _digests(repository.referrers(digest_of(subject))) == [digest]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_subject_is_named_in_either_algorithm(repository: Repository, algorithm: Algorithm) -> None:
    """The referrer itself has a sha256 digest."""
    subject = descriptor_of(b"anything", algorithm=algorithm)
    digest = push_artifact(repository, None, small_manifest("referrer", subject=subject))

    assert _digests(repository.referrers(subject["digest"])) == [digest]


def test_the_referrers_of_another_repository_are_not_listed(repository: Repository) -> None:
    """The list is of the same namespace."""
    body = small_manifest("elsewhere", subject=_subject(repository))
    push_artifact(repository.sibling("other"), None, body)

    assert _digests(repository.referrers(_subject(repository)["digest"])) == []


def test_an_image_without_a_type_is_listed_with_that_of_its_config(repository: Repository) -> None:
    """Absent and empty are the same."""
    body = small_manifest("untyped", subject=_subject(repository), artifactType="")
    push_artifact(repository, None, body)

    entries = _listed(repository.referrers(_subject(repository)["digest"]))

    assert [entry["artifactType"] for entry in entries] == ["application/vnd.oci.empty.v1+json"]


def test_an_index_without_a_type_is_listed_without(repository: Repository) -> None:
    """`artifactType` is left out, and so no filter finds it."""
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    document["subject"] = _subject(repository)
    repository.put_manifest("index", encode(document), INDEX)
    digest = _subject(repository)["digest"]

    assert [entry.get("artifactType", "absent") for entry in _listed(repository.referrers(digest))] == [
        "absent"
    ]
    assert _listed(repository.referrers(digest, artifactType=INDEX)) == []


def test_a_filter_leaves_only_its_type(repository: Repository) -> None:
    """Types are compared whole, and the answer says that a filter was applied."""
    types = ["application/vnd.example.a", "application/vnd.example.a+json", "application/vnd.example.b"]
    digests = {one: _refer(repository, one, artifactType=one) for one in types}

    for artifact_type, digest in digests.items():
        response = repository.referrers(_subject(repository)["digest"], artifactType=artifact_type)
        assert _digests(response) == [digest]
        assert response.headers["oci-filters-applied"] == "artifactType"


@cites(Section.DELETING_MANIFESTS)
def test_a_deleted_referrer_is_not_listed(repository: Repository) -> None:
    """The others are."""
    first, second = _refer(repository, "first"), _refer(repository, "second")
    assert repository.manifest("DELETE", first).status_code == 202

    assert _digests(repository.referrers(_subject(repository)["digest"])) == [second]


@cites(Section.DELETING_MANIFESTS)
def test_the_referrers_of_a_deleted_subject_are_listed(repository: Repository) -> None:
    """They exist, as before their subject was pushed."""
    subject = push_artifact(repository, None, small_manifest(f"subject of {repository.name}"))
    digest = _refer(repository, "referrer")
    assert repository.manifest("DELETE", subject).status_code == 202

    assert _digests(repository.referrers(subject)) == [digest]


def test_a_referrer_has_referrers(repository: Repository) -> None:
    """A signature of a bill of materials."""
    body = small_manifest("first", subject=_subject(repository))
    first = push_artifact(repository, None, body)
    second = push_artifact(repository, None, small_manifest("second", subject=descriptor_of(body)))

    assert _digests(repository.referrers(_subject(repository)["digest"])) == [first]
    assert _digests(repository.referrers(first)) == [second]


def test_a_list_that_is_too_long_for_one_manifest_is_linked(repository: Repository) -> None:
    """Six entries of a megabyte: every page is an index below four, and each referrer is on one of them."""
    expected = sorted(
        _refer(repository, f"large-{number}", annotations={"org.example.large": str(number) * 1_000_000})
        for number in range(6)
    )
    found: list[str] = []
    response = repository.referrers(
        _subject(repository)["digest"], artifactType="application/vnd.example.small"
    )
    for _ in expected:
        found.extend(_digests(response))
        assert len(response.content) <= 4 * 1024 * 1024
        assert response.headers["oci-filters-applied"] == "artifactType"
        link = re.fullmatch(r'<([^>]+)>;\s*rel="?next"?', response.headers.get("link", ""))
        if link is None:
            break
        response = repository.client.get(response.request.url.join(link.group(1)))

    assert sorted(found) == expected
    assert len(found) == len(set(found))


@cites(Section.ENABLING_REFERRERS, Section.REFERRERS_TAG)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_list_kept_under_a_tag_is_part_of_the_answer(repository: Repository, algorithm: Algorithm) -> None:
    """An index under the subject's tag, as a client of an older registry left it: each entry is listed once."""
    subject = descriptor_of(b"the subject", algorithm=algorithm)
    body = small_manifest("with a subject", subject=subject)
    digest = push_artifact(repository, None, body)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor_of(body)]}
    tag = referrers_tag(subject["digest"])
    pushed = repository.put_manifest(tag, encode(index), INDEX)
    assert pushed.status_code == 201, describe(pushed)

    assert _digests(repository.referrers(subject["digest"])) == [digest]
    assert repository.manifest("GET", tag).content == encode(index)


def test_a_referrer_that_is_pushed_twice_is_listed_once(repository: Repository) -> None:
    """By digest and by tags."""
    body = small_manifest("twice", subject=_subject(repository))
    for reference in (None, "one", "two"):
        digest = push_artifact(repository, reference, body)

        assert _digests(repository.referrers(_subject(repository)["digest"])) == [digest]


@cites(Section.SUBJECT)
def test_a_manifest_may_be_its_subjects_only_tag(repository: Repository) -> None:
    """Pushed by tag, a referrer names its subject in the answer too."""
    body = small_manifest("tagged", subject=_subject(repository))
    push_artifact(repository, None, body)

    response = repository.put_manifest("signature", body, IMAGE_MANIFEST)

    assert response.headers["oci-subject"] == _subject(repository)["digest"]
