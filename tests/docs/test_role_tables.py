"""The guide's table of roles says what the program's own table of roles says."""

from __future__ import annotations

from typing import Final

import pytest

from entrepot.auth.roles import BUILT_IN_ROLES, ROLES_BY_ID
from tests.docs.pages import load_page

_PAGES: Final = ("docs/how-to/accounts.md", "docs/how-to/accounts.zh-CN.md")
_COLUMNS: Final = ("repository:pull", "repository:push", "artifact:delete", "repository:create", "log:list")
"""The permission that each column of ticks is about."""
_TICKS: Final = {"✓": True, "—": False}


@pytest.mark.parametrize("path", _PAGES)
def test_s10_the_guide_ticks_what_each_role_may(path: str) -> None:
    """Every built-in role has its row, found by its number in Harbor's API."""
    told: dict[str, list[bool]] = {}
    for row in load_page(path).table_rows():
        if len(row) == len(_COLUMNS) + 2 and row[-1].isdigit():
            told[ROLES_BY_ID[int(row[-1])].name] = [_TICKS[cell] for cell in row[1:-1]]

    held = {name: [column in role.project for column in _COLUMNS] for name, role in BUILT_IN_ROLES.items()}
    assert told == held
