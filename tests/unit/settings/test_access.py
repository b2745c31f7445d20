"""Accounts and letting everybody in exclude one another; whoever says both is told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.settings import SettingsError, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_accounts_are_on_unless_somebody_switches_them_off() -> None:
    loaded = load_settings(environment={}, user_id=0)

    assert (loaded.settings.access.accounts, str(loaded.origins["access.accounts"])) == (True, "default")


def test_letting_everybody_in_turns_accounts_off_where_nobody_says_otherwise() -> None:
    loaded = load_settings(environment={}, user_id=0, flags={"access.insecure_anonymous": True})

    assert loaded.settings.access.accounts is False
    assert str(loaded.origins["access.accounts"]) == "default with access.insecure_anonymous"


def test_who_asks_for_both_is_refused_with_where_each_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "entrepot.toml"
    file.write_text("[access]\naccounts = true\n")

    with pytest.raises(SettingsError) as caught:
        load_settings(environment={"ENTREPOT_ACCESS_INSECURE_ANONYMOUS": "true"}, user_id=0, config_file=file)

    assert caught.value.problems == (
        (
            "access.insecure_anonymous (environment ENTREPOT_ACCESS_INSECURE_ANONYMOUS): lets everybody in without a "
            "name, while access.accounts is true as well; set one of them to false"
        ),
    )


@pytest.mark.parametrize("place", ["file", "environment"])
def test_the_option_does_not_outweigh_accounts_that_somebody_asked_for_i6(tmp_path: Path, place: str) -> None:
    """`serve --insecure-anonymous` says nothing about accounts, so both are asked for."""
    file = tmp_path / "entrepot.toml"
    file.write_text("[access]\naccounts = true\n" if place == "file" else "")
    environment = {"ENTREPOT_ACCESS_ACCOUNTS": "true"} if place == "environment" else {}

    with pytest.raises(SettingsError, match=r"without a name, while access\.accounts is true"):
        load_settings(
            environment=environment,
            user_id=0,
            config_file=file,
            flags={"access.insecure_anonymous": True},
        )
