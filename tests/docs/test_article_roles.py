"""The page of the article's roles, the product's roles and what real clients are held to say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.blackbox.accounts.articles_table import COLUMNS, TABLE
from tests.docs.article_reference import (
    ARTICLE_ROLES,
    OWN_ROLES,
    allowed_acts,
    render_article_roles,
    render_article_roles_in_chinese,
    render_roles_by_act,
    render_roles_by_act_in_chinese,
)
from tests.docs.pages import Page, load_page

if TYPE_CHECKING:
    from collections.abc import Callable

_TICKS: Final = {"✓": True, "—": False}
_PAGES: Final = {
    "docs/reference/article-roles.md": "own team",
    "docs/reference/article-roles.zh-CN.md": "本团队",
}
_ARTICLE: Final = [
    ["开发人员", "✓", "—", "—", "—"],
    ["团队负责人", "✓", "✓ (本团队)", "—", "✓"],
    ["运维管理员", "✓", "✓", "✓", "✓"],
    ["审计员", "—", "—", "—", "✓"],
]
"""The table as the article has it, but for the signs."""


def _ticked(rendered: str) -> list[tuple[bool, ...]]:
    _, *rows = Page("a table", rendered).table_rows()
    return [tuple(_TICKS[cell] for cell in row[1:]) for row in rows]


def test_s10_the_roles_of_the_program_give_what_the_article_gives() -> None:
    """Tick by tick, in its order; that a team lead reads the log of their own team only is what we add."""
    _, *told = list(Page("a table", render_article_roles_in_chinese()).table_rows())
    assert told[1][4] == "✓ (本团队)"
    told[1][4] = "✓"

    assert told == _ARTICLE


def test_s10_both_languages_tick_the_same_of_the_articles_table() -> None:
    cells = [
        [row[1:] for row in list(Page("a table", rendered.replace(own, "own")).table_rows())[1:]]
        for rendered, own in zip(
            (render_article_roles(), render_article_roles_in_chinese()), _PAGES.values(), strict=True
        )
    ]
    assert cells[0] == cells[1]


@pytest.mark.parametrize("render", [render_roles_by_act, render_roles_by_act_in_chinese])
def test_s10_the_page_says_what_real_clients_are_held_to(render: Callable[[], str]) -> None:
    assert dict(zip([*ARTICLE_ROLES, *OWN_ROLES], _ticked(render()), strict=True)) == TABLE


def test_s10_columns_and_rows_are_those_of_the_real_clients() -> None:
    assert [tuple(allowed_acts(role)) for role in TABLE] == [COLUMNS] * len(TABLE)
    assert [*ARTICLE_ROLES, *OWN_ROLES] == list(TABLE)


@pytest.mark.parametrize("path", _PAGES)
def test_s10_the_page_has_all_roles_of_both_tables(path: str) -> None:
    rows = [row for row in load_page(path).table_rows() if {*row[1:]} & {*_TICKS}]
    assert len(rows) == len(ARTICLE_ROLES) + len(TABLE)
