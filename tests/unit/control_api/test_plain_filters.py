"""Listings that know a value or a part of it."""

from __future__ import annotations

import pytest

from entrepot.control_api.errors import InvalidFilterError
from entrepot.control_api.filters import FilterField
from entrepot.control_api.plain_filters import MADE, NAME, parse_plain_filters
from entrepot.metadata.list_filters import ANY_ROW, WantedRows

_ALLOWED = {
    "name": FilterField("name"),
    "owner": FilterField("owner"),
    "projectid": FilterField("project_id", "number", frozenset({"exact"})),
}

_TRUTH = {"public": FilterField("public", "truth", frozenset({"exact"}))}


def test_a_field_is_a_value_or_contains_a_part() -> None:
    filters = parse_plain_filters("name=~app,owner=alice,ProjectID=7", _ALLOWED)

    assert (dict(filters.values), dict(filters.parts)) == (
        {"owner": "alice", "project_id": 7},
        {"name": "app"},
    )
    assert (filters.text("owner"), filters.text("project_id"), filters.text("name")) == ("alice", "7", "")
    assert (filters.part("name"), filters.part("owner")) == ("app", "")


def test_a_field_is_one_of_several_or_made_within_a_span() -> None:
    allowed = {"name": FilterField("name", "text", NAME), "creationtime": MADE}

    both = parse_plain_filters(
        "name={a 'b c'},creation_time=[1970-01-01 00:00:01~1970-01-01 00:00:02]", allowed
    )
    since = parse_plain_filters("creation_time=[1970-01-01 00:00:01~]", allowed)

    assert both.wanted("name", "creation_time") == WantedRows(("a", "b c"), 1000, 2999)
    assert since.wanted("name", "creation_time") == WantedRows(made_from=1000)
    assert parse_plain_filters("name=a", allowed).wanted("name", "creation_time") == ANY_ROW


@pytest.mark.parametrize("text", ["name=(a b)", "name=[a~b]", "creation_time=1970-01-01 00:00:01"])
def test_names_and_times_take_no_other_forms_s26(text: str) -> None:
    with pytest.raises(InvalidFilterError):
        parse_plain_filters(text, {"name": FilterField("name", "text", NAME), "creationtime": MADE})


def test_nothing_is_wanted_when_nothing_is_said() -> None:
    filters = parse_plain_filters("", _ALLOWED)

    assert (filters.text("name"), filters.part("name")) == ("", "")


@pytest.mark.parametrize("text", ["name={a b}", "name=[a~b]", "secret=a", "ProjectID=~7", "name=a,name=~b"])
def test_what_a_listing_does_not_know_is_refused_s25_s26(text: str) -> None:
    with pytest.raises(InvalidFilterError):
        parse_plain_filters(text, _ALLOWED)


@pytest.mark.parametrize(
    ("text", "said"), [("true", True), ("TRUE", True), ("1", True), ("False", False), ("0", False)]
)
def test_what_is_so_or_not_is_read_as_harbors_clients_write_it(text: str, said: bool) -> None:
    filters = parse_plain_filters(f"public={text}", _TRUTH)

    assert filters.truth_beside("public", None) is said
    assert parse_plain_filters("", _TRUTH).truth_beside("public", said) is said


@pytest.mark.parametrize("text", ["no", "yes", "bogus", "2", "truee"])
def test_what_is_neither_so_nor_not_is_refused_s26(text: str) -> None:
    """Else a misspelt filter would show everything."""
    with pytest.raises(InvalidFilterError, match="public is true or false"):
        parse_plain_filters(f"public={text}", _TRUTH)


def test_a_field_that_is_said_in_both_places_is_refused_s26() -> None:
    """Else one of the two would be ignored."""
    filters = parse_plain_filters("public=true,owner=alice", _TRUTH | _ALLOWED)

    with pytest.raises(InvalidFilterError, match="public is there twice"):
        filters.truth_beside("public", False)
    with pytest.raises(InvalidFilterError, match="owner is there twice"):
        filters.text_beside("owner", "bob")
    assert filters.text_beside("owner", "") == "alice"
