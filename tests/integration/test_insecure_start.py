"""Letting everybody in and having accounts are not both to be had, whichever way each is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.test_commands import run

if TYPE_CHECKING:
    from pathlib import Path


def test_everybody_is_not_let_in_where_accounts_are_asked_for_i6(tmp_path: Path) -> None:
    """As the guide says of the two together, also where one is an option."""
    config = tmp_path / "entrepot.toml"
    config.write_text("[access]\naccounts = true\n")

    answer = run(tmp_path, "serve", "--config", str(config), "--insecure-anonymous")

    assert answer.returncode == 2
    assert "while access.accounts is true as well; set one of them to false" in answer.stderr
