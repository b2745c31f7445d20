"""Links of the documentation lead somewhere."""

from __future__ import annotations

import posixpath

import pytest

from tests.docs.pages import ROOT, Page, load_page, load_pages, slug


def _broken_links(page: Page) -> list[str]:
    broken: list[str] = []
    for link in page.links():
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.path), path)) if path else page.path
        is_missing = bool(path) and (target.startswith("..") or not (ROOT / target).exists())
        if is_missing or (
            anchor and anchor not in (page if target == page.path else load_page(target)).anchors()
        ):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", load_pages(), ids=lambda page: page.path)
def test_links_within_the_project_resolve(page: Page) -> None:
    """The file exists, and so does the heading that the link names."""
    assert _broken_links(page) == []


def test_a_broken_link_is_noticed() -> None:
    page = Page(
        "docs/x.md",
        "# Here\n[a](gone.md) [b](why.md#gone) [c](#here) [d](why.md) [e](#not-here) `[f](no.md)`",
    )
    assert _broken_links(page) == ["gone.md", "why.md#gone", "#not-here"]


def test_anchors_follow_the_habit_of_code_hosts() -> None:
    assert slug("What to do when …") == "what-to-do-when-"
    assert slug("`entrepot settings show`") == "entrepot-settings-show"


def test_every_page_is_reached_from_the_start() -> None:
    """A reader finds every page below docs/ by following links from README.md."""
    reached, waiting = set[str](), ["README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or not path.endswith(".md") or not (ROOT / path).is_file():
            continue
        reached.add(path)
        folder = posixpath.dirname(path)
        inner = [link.partition("#")[0] for link in load_page(path).links() if "://" not in link]
        waiting.extend(posixpath.normpath(posixpath.join(folder, link)) for link in inner)
    assert {page.path for page in load_pages() if page.path.startswith("docs/")} - reached == set()
