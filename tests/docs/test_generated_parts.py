"""The generated parts of the documentation are what the program would write today."""

from __future__ import annotations

import pytest

from tests.docs.meanings import MissingMeaningError, load_meanings, meanings_of
from tests.docs.pages import Page, load_pages
from tests.docs.rendering import RENDERERS, UnknownBlockError, render_page

_MARKERS = ("<!-- generated:", "<!-- end of generated -->")


@pytest.mark.parametrize("page", [page for page in load_pages() if page.blocks()], ids=lambda page: page.path)
def test_a_page_equals_its_rendering(page: Page) -> None:
    """`python -m tests.docs.rendering --write` would change nothing."""
    assert page.text == render_page(page)


def test_every_renderer_is_used_once() -> None:
    """No table gets lost when a page is rewritten."""
    used = sorted(block.name for page in load_pages() for block in page.blocks())
    assert used == sorted(RENDERERS)


@pytest.mark.parametrize("page", load_pages(), ids=lambda page: page.path)
def test_every_marker_belongs_to_a_block(page: Page) -> None:
    """A block that was not closed, or is spelt wrongly, would silently never be written."""
    assert [page.text.count(marker) for marker in _MARKERS] == [len(page.blocks())] * 2


def test_an_outdated_block_is_noticed() -> None:
    """A block with other content is rendered anew, so the comparison can fail."""
    page = Page("docs/x.md", "<!-- generated: exit-codes -->\nold\n<!-- end of generated -->\n")
    assert "DATA_DIRECTORY_IN_USE" in render_page(page)
    assert "old" not in render_page(page)


def test_a_block_without_renderer_is_refused() -> None:
    with pytest.raises(UnknownBlockError, match="no-such-table"):
        render_page(Page("docs/x.md", "<!-- generated: no-such-table -->\n<!-- end of generated -->\n"))


def test_a_name_without_meaning_is_refused() -> None:
    """A new failpoint, event or operation needs its sentence; an obsolete sentence has to go."""
    known = set(load_meanings()["outbox"])
    with pytest.raises(MissingMeaningError, match=r"without meaning \['tag\.gone'\]"):
        meanings_of("outbox", known | {"tag.gone"})
    with pytest.raises(MissingMeaningError, match=r"without code \['blob\.linked'\]"):
        meanings_of("outbox", known - {"blob.linked"})
