"""Every kind of content can be deleted: tags, manifests from the outermost inwards, blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance.cases import (
    each_blob,
    each_kind,
    each_manifest,
    each_subject,
    each_tag,
    in_both_setups,
)
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe, judged

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.conformance.data import Blob, Manifest
    from tests.conformance.pushing import Deleted

pytestmark = in_both_setups


def _assert_gone(answers: tuple[httpx.Response, ...]) -> None:
    """202, and neither GET nor HEAD finds it when that answer has arrived."""
    deleted, got, head = (judged(answer) for answer in answers)
    assert deleted.status_code == 202, describe(deleted)
    assert got.status_code == 404, describe(got)
    assert head.status_code == 404, describe(head)


@cites(Section.DELETING_TAGS)
@each_tag()
def test_a_tag_is_deleted(deleted: Callable[[str], Deleted], kind: str, tag: str, manifest: Manifest) -> None:
    _assert_gone(deleted(kind).answers[tag])


@cites(Section.DELETING_MANIFESTS)
@each_manifest()
def test_a_manifest_is_deleted(deleted: Callable[[str], Deleted], kind: str, manifest: Manifest) -> None:
    _assert_gone(deleted(kind).answers[manifest.digest])


@cites(Section.DELETING_BLOBS)
@each_blob()
def test_a_blob_is_deleted(deleted: Callable[[str], Deleted], kind: str, blob: Blob) -> None:
    """Although another repository has the same blob still."""
    _assert_gone(deleted(kind).answers[blob.digest])


@cites(Section.TAGS, Section.DELETING_TAGS)
@each_kind()
def test_no_tag_is_listed_when_all_are_deleted(deleted: Callable[[str], Deleted], kind: str) -> None:
    """The list of a repository that has no tags (any more) is empty."""
    response = judged(deleted(kind).repository.tags())

    assert (response.status_code, response.json()["tags"]) == (200, []), describe(response)


@cites(Section.REFERRERS, Section.DELETING_MANIFESTS)
@each_subject()
def test_no_referrer_is_listed_when_all_are_deleted(
    deleted: Callable[[str], Deleted], kind: str, subject: str
) -> None:
    """200 and an empty index."""
    response = judged(deleted(kind).repository.referrers(subject))

    assert (response.status_code, response.json()["manifests"]) == (200, []), describe(response)
