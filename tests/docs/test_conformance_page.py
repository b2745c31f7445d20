"""The page on conformance names every file of the suite and every section of the specification that it cites."""

from __future__ import annotations

from tests.conformance.sections import Section
from tests.docs.pages import ROOT, load_page

_PAGE = "docs/reference/conformance.md"


def test_every_file_of_the_suite_is_listed() -> None:
    """A new area appears in the table."""
    text = load_page(_PAGE).text
    files = {path.name for path in (ROOT / "tests" / "conformance").glob("test_*.py")}

    assert {name for name in files if f"tests/conformance/{name}" not in text} == set()


def test_every_section_is_listed() -> None:
    """Under the heading it has in the specification."""
    text = load_page(_PAGE).text

    assert [section for section in Section if section not in text] == []
