"""Rules on the texts themselves: lengths, no paths of one machine, records with one form."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.docs.pages import ROOT, Page, load_page, load_pages

_MACHINE_PATH: Final = re.compile(r"(?<![\w./~-])/(?:work|root|home|Users|tmp|workspace)/")
_RECORD_HEADINGS: Final = ["Context", "Decision", "Consequences"]
_RECORDS: Final = [page for page in load_pages() if re.match(r"docs/decisions/\d{4}-", page.path)]


@pytest.mark.parametrize("path", ["README.md", "README.zh-CN.md"])
def test_a_readme_is_read_in_one_go(path: str) -> None:
    assert load_page(path).text.count("\n") <= 150


@pytest.mark.parametrize("page", load_pages(), ids=lambda page: page.path)
def test_no_page_names_a_path_of_one_machine(page: Page) -> None:
    assert [line for line in page.text.splitlines() if _MACHINE_PATH.search(line)] == []


def test_a_path_of_one_machine_is_noticed() -> None:
    assert _MACHINE_PATH.search("see /home/ann/registry")
    assert not _MACHINE_PATH.search("`~/.local/share/entrepot`, https://example.com/home/ and ./data")


@pytest.mark.parametrize("page", _RECORDS, ids=lambda page: page.path)
def test_a_decision_record_has_the_form(page: Page) -> None:
    """Number, title, status, context, decision, consequences, in forty lines at most."""
    number = int(page.path.rsplit("/", 1)[1][:4])
    title, *sections = [text for _, text in page.headings()]
    assert title.startswith(f"{number}. ")
    assert re.search(r"^Status: (accepted|replaced|rejected)", page.text, re.MULTILINE)
    assert sections == _RECORD_HEADINGS
    assert page.text.count("\n") <= 40


def test_decision_records_are_numbered_without_gaps() -> None:
    assert len(_RECORDS) >= 10
    assert [int(page.path.rsplit("/", 1)[1][:4]) for page in _RECORDS] == list(range(1, len(_RECORDS) + 1))


@pytest.mark.parametrize("page", load_pages(), ids=lambda page: page.path)
def test_a_page_has_one_title(page: Page) -> None:
    assert [level for level, _ in page.headings()].count(1) == 1
    assert (ROOT / page.path).read_bytes().endswith(b"\n")
