"""The list of tags: its order, its pages, its edges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.manifests import push_artifact, small_manifest
from tests.conformance.sections import Section, cites
from tests.conformance.wire import Repository, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

pytestmark = [in_both_setups, cites(Section.TAGS)]

_TAGS: Final = sorted(
    ["1", "1.0", "1.0.0", "10", "2", "A", "Z", "_", "a", "a-b", "a.b", "a_b", "latest", "v" * 128]
)


@pytest.fixture(scope="module")
def tagged(client: httpx.Client) -> Repository:
    """Return a repository with these tags, pushed in another order."""
    repository = Repository(client, "conformance/tagged")
    for tag in reversed(_TAGS):
        push_artifact(repository, tag, small_manifest(tag))
    return repository


def _listed(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, describe(response)
    tags: list[str] = response.json()["tags"]
    return tags


def _next_page(response: httpx.Response) -> httpx.URL | None:
    """Return where the Link header leads (RFC 8288), absolute or relative."""
    link = response.headers.get("link")
    if link is None:
        return None
    match = re.fullmatch(r'<([^>]+)>;\s*rel="?next"?', link)
    assert match is not None, link
    return response.request.url.join(match.group(1))


def _pages(repository: Repository, **query: str) -> Iterator[list[str]]:
    response = repository.tags(**query)
    for _ in range(2 * len(_TAGS)):
        yield _listed(response)
        following = _next_page(response)
        if following is None:
            return
        response = repository.client.get(following)
    pytest.fail("the links lead in a circle")


def test_all_tags_are_listed_in_byte_order(tagged: Repository) -> None:
    """The name of the repository and every tag once."""
    assert tagged.tags().json() == {"name": tagged.name, "tags": _TAGS}


@pytest.mark.parametrize("size", [1, 2, 3, 5, len(_TAGS) - 1, len(_TAGS), len(_TAGS) + 1, 10_000])
def test_a_page_has_as_many_tags_as_asked_for(tagged: Repository, size: int) -> None:
    """The first `n`, or all there are."""
    assert _listed(tagged.tags(n=str(size))) == _TAGS[:size]


@pytest.mark.parametrize("size", [1, 2, 3, 5, len(_TAGS) - 1, len(_TAGS), len(_TAGS) + 1])
def test_the_links_lead_through_all_pages(tagged: Repository, size: int) -> None:
    """Each tag once, in order, and the last page links to none."""
    pages = list(_pages(tagged, n=str(size)))

    assert [tag for page in pages for tag in page] == _TAGS
    assert all(len(page) <= size for page in pages)


@pytest.mark.parametrize("last", _TAGS)
def test_a_page_begins_behind_the_last_tag(tagged: Repository, last: str) -> None:
    """`last` itself is not in it; with `n` and without."""
    after = _TAGS[_TAGS.index(last) + 1 :]

    assert _listed(tagged.tags(last=last)) == after
    assert _listed(tagged.tags(last=last, n="2")) == after[:2]


@pytest.mark.parametrize("last", ["0", "1.0.0-rc", "B", "b", "zzz", "~"])
def test_the_last_tag_need_not_exist(tagged: Repository, last: str) -> None:
    """It may have been deleted since: the page has what sorts behind it."""
    assert _listed(tagged.tags(last=last)) == [tag for tag in _TAGS if tag > last]


@pytest.mark.parametrize("query", [{"n": "0"}, {"n": "0", "last": "a"}, {"n": "00"}])
def test_a_page_of_no_tags_is_empty_and_links_nowhere(tagged: Repository, query: dict[str, str]) -> None:
    """`n=0`."""
    response = tagged.tags(**query)

    assert _listed(response) == []
    assert "link" not in response.headers


@pytest.mark.parametrize("size", ["-1", "x", "", "1.5", "0x1", "1e3"])
def test_a_page_size_that_is_no_number_is_refused(tagged: Repository, size: str) -> None:
    """400."""
    assert tagged.tags(n=size).status_code == 400


@cites(Section.PULLING_MANIFESTS)
@pytest.mark.parametrize("tag", _TAGS)
def test_every_tag_that_is_listed_can_be_pulled(tagged: Repository, tag: str) -> None:
    """128 characters, and each kind of character in each place."""
    assert tagged.manifest("GET", tag).content == small_manifest(tag)


@cites(Section.PULLING_MANIFESTS, Section.PUSHING_MANIFESTS)
@pytest.mark.parametrize("tag", ["v" * 129, ".a", "-a", "a%20b", "a%2Fb", "a+b", "%C3%A4", "a@b", "a,b"])
def test_what_is_no_tag_is_refused(repository: Repository, tag: str) -> None:
    """Nothing is pushed under it, and nothing is found."""
    push_artifact(repository, None, small_manifest("untagged"))

    assert repository.put_manifest(tag, small_manifest("x"), "").status_code in {400, 404}
    assert repository.manifest("GET", tag).status_code in {400, 404}
    assert _listed(repository.tags()) == []


def test_a_moved_tag_is_listed_once(repository: Repository) -> None:
    """It points at what was pushed last; the other stays under its digest."""
    first, second = (push_artifact(repository, "moving", small_manifest(name)) for name in ("one", "two"))

    assert _listed(repository.tags()) == ["moving"]
    assert repository.manifest("HEAD", "moving").headers["docker-content-digest"] == second
    assert repository.manifest("GET", first).content == small_manifest("one")


@cites(Section.DELETING_TAGS)
def test_deleting_a_tag_leaves_the_others_and_the_manifest(repository: Repository) -> None:
    """Of two tags of one manifest."""
    for tag in ("gone", "kept"):
        digest = push_artifact(repository, tag, small_manifest("both"))

        assert repository.manifest("HEAD", digest).status_code == 200
    assert repository.manifest("DELETE", "gone").status_code == 202

    assert _listed(repository.tags()) == ["kept"]
    assert repository.manifest("GET", "kept").content == small_manifest("both")
    assert repository.manifest("DELETE", "gone").status_code == 404


@cites(Section.DELETING_MANIFESTS)
def test_deleting_a_manifest_deletes_all_its_tags(repository: Repository) -> None:
    """And no other's."""
    for tag in ("one", "two"):
        push_artifact(repository, tag, small_manifest("shared"))
    digest = push_artifact(repository, None, small_manifest("shared"))
    push_artifact(repository, "other", small_manifest("other"))

    assert repository.manifest("DELETE", digest).status_code == 202

    assert [repository.manifest("GET", tag).status_code for tag in ("one", "two", "other")] == [404, 404, 200]
    assert _listed(repository.tags()) == ["other"]


@cites(Section.DELETING_MANIFESTS, Section.PUSHING_MANIFESTS)
def test_what_was_deleted_can_be_pushed_again(repository: Repository) -> None:
    """Under the same tag and digest."""
    body = small_manifest("back again")
    for _ in range(2):
        digest = push_artifact(repository, "again", body)
        assert repository.manifest("GET", "again").content == body
        assert repository.manifest("DELETE", digest).status_code == 202
        assert repository.manifest("GET", "again").status_code == 404
