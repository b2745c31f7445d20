"""Tables of capabilities use the five words, name evidence that exists, and say the same in both languages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.pages import ROOT, load_page

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUSES: Final = {
    "*run*": "*实测*",
    "*emulated*": "*仿真*",
    "*schema-checked*": "*仅校验格式*",
    "*unproven*": "*未验证*",
    "*not yet*": "*尚无*",
}
_NEED_EVIDENCE: Final = frozenset({"*run*", "*emulated*", "*schema-checked*"})
_ARTICLE_SECTIONS: Final = {
    *("1.1", "1.2", "1.3", "2.1", "2.2", "2.3", "3.1", "3.2", "3.3"),
    *("4.1", "4.2", "4.3", "5.1", "5.2", "5.3", "6.1", "6.2", "6.3", "6.4"),
}
"""The numbered sections of the article (chapter 1 by its bullets), and its closing advice."""


@dataclass(frozen=True, slots=True)
class _Row:
    cells: Sequence[str]
    status: str
    evidence: tuple[str, ...]


def _rows(path: str) -> list[_Row]:
    """Return the rows of a page that have a status among their cells."""
    words = {*_STATUSES, *_STATUSES.values()}
    rows: list[_Row] = []
    for cells in load_page(path).table_rows():
        found = [cell for cell in cells if cell in words]
        if found:
            evidence = tuple(re.findall(r"`(tests/[^`]+)`", " ".join(cells)))
            rows.append(_Row(cells, found[0], evidence))
    return rows


_PAGES: Final = ("README.md", "README.zh-CN.md", "docs/article.md", "docs/article.zh-CN.md")


@pytest.mark.parametrize("path", _PAGES)
def test_evidence_exists(path: str) -> None:
    """Every test that a row names is there."""
    rows = _rows(path)
    assert len(rows) > 10
    missing = [one for row in rows for one in row.evidence if not (ROOT / one).exists()]
    assert missing == []


@pytest.mark.parametrize("path", _PAGES)
def test_what_counts_as_proven_names_its_evidence(path: str) -> None:
    """A row that says *run*, *emulated* or *schema-checked* names the test; only the closing advice needs none."""
    english = {chinese: word for word, chinese in _STATUSES.items()}
    bare = [
        row.cells[0]
        for row in _rows(path)
        if english.get(row.status, row.status) in _NEED_EVIDENCE and not row.evidence
    ]
    assert [name for name in bare if name != "6.4"] == []


@pytest.mark.parametrize("path", _PAGES)
def test_what_does_not_exist_names_no_evidence(path: str) -> None:
    """*not yet* beside a test would be a contradiction."""
    assert [
        row.cells[0] for row in _rows(path) if row.status in {"*not yet*", "*尚无*"} and row.evidence
    ] == []


@pytest.mark.parametrize(("english", "chinese"), [_PAGES[:2], _PAGES[2:]])
def test_both_languages_claim_the_same(english: str, chinese: str) -> None:
    """Row by row the same status and the same evidence."""
    claims = [(_STATUSES[row.status], row.evidence) for row in _rows(english)]
    assert [(row.status, row.evidence) for row in _rows(chinese)] == claims


@pytest.mark.parametrize("path", _PAGES[2:])
def test_every_section_of_the_article_is_answered(path: str) -> None:
    """No section is left out, and no line is numbered twice."""
    numbers = [row.cells[0] for row in _rows(path)]
    assert len(numbers) == len(set(numbers))
    assert {number.rstrip("abcdefghij") for number in numbers} == _ARTICLE_SECTIONS


def test_the_article_tables_have_the_same_lines() -> None:
    numbers = [[row.cells[0] for row in _rows(path)] for path in _PAGES[2:]]
    assert numbers[0] == numbers[1]
