"""What is chosen, what is left out, and under which names it arrives."""

from __future__ import annotations

import time

import pytest

from entrepot.oci.names import InvalidRepositoryNameError
from entrepot.transfer.errors import SourceUnusableError
from entrepot.transfer.selection import Renaming, Selection, matches_any, parse_renaming


def test_without_patterns_everything_is_chosen() -> None:
    """No choice is no restriction, and nothing is named outright."""
    selection = Selection()

    assert selection.has_repository("any/thing")
    assert selection.has_tag("any/thing", "v1")
    assert selection.named_repositories is None


def test_globs_cross_slashes_and_tell_cases_apart() -> None:
    """`team/*` chooses all below the project; tags are matched as they are written."""
    selection = Selection(repositories=("team/*",), tags=("v1.*",))

    assert selection.has_repository("team/a/b")
    assert not selection.has_repository("other/team/a")
    assert selection.has_tag("team/a", "v1.2")
    assert not selection.has_tag("team/a", "V1.2")


def test_what_is_excluded_is_left_out_though_chosen() -> None:
    """A repository as a whole, or a tag of one."""
    selection = Selection(repositories=("*",), exclude=("tmp/*", "team/app:dev-*"))

    assert not selection.has_repository("tmp/x")
    assert selection.has_tag("team/app", "v1")
    assert not selection.has_tag("team/app", "dev-1")


def test_named_repositories_need_no_listing() -> None:
    """Names without a glob are known before a source is asked; each is taken once."""
    assert Selection(repositories=("b", "a", "b")).named_repositories == ("b", "a")
    assert Selection(repositories=("b", "a*")).named_repositories is None


def test_the_first_renaming_that_fits_wins_and_the_prefix_comes_last() -> None:
    """Rules concern whole segments."""
    selection = Selection(
        renamings=(Renaming("old", "new/deep"), Renaming("old/x", "never")), prefix="mirror"
    )

    assert selection.rename("old/x").text == "mirror/new/deep/x"
    assert selection.rename("older/x").text == "mirror/older/x"
    assert selection.rename("old").text == "mirror/new/deep"


def test_a_leading_part_can_be_dropped() -> None:
    """`legacy=` takes the segment away."""
    assert Selection(renamings=(parse_renaming("legacy="),)).rename("legacy/app").text == "app"


@pytest.mark.parametrize("text", ["old", "=new", ""])
def test_a_renaming_without_two_sides_is_refused(text: str) -> None:
    """The message says how to write it."""
    with pytest.raises(SourceUnusableError, match="old=new"):
        parse_renaming(text)


def test_a_name_that_this_registry_does_not_allow_is_found() -> None:
    """Upper case and too long names are no names here."""
    with pytest.raises(InvalidRepositoryNameError):
        Selection(prefix="Upper").rename("app")


def test_s38_a_hostile_glob_takes_no_time() -> None:
    """Dozens of stars against a long name that nearly fits are decided at once (S38)."""
    began = time.process_time()

    assert not matches_any(("*a" * 60 + "b",), "a" * 250)

    assert time.process_time() - began < 1
