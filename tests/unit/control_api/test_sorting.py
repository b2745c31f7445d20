"""The order of a listing: which fields, which way, and nothing that is not listed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.control_api.errors import InvalidSortError
from entrepot.control_api.sorting import SortKey, parse_order, parse_sort

_ALLOWED = {"name": "name", "creationtime": "creation_time"}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", ()),
        ("name", (SortKey("name"),)),
        ("-creation_time,name", (SortKey("creation_time", descending=True), SortKey("name"))),
        ("CreationTime", (SortKey("creation_time"),)),
    ],
)
def test_keys_come_in_the_order_given(text: str, keys: tuple[SortKey, ...]) -> None:
    assert parse_sort(text, _ALLOWED) == keys


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", "name"),
        ("name", "name"),
        ("-CreationTime,name", "-creation_time"),
        ("creation_time", "creation_time"),
    ],
)
def test_the_first_key_is_the_order_and_without_one_it_is_the_usual(text: str, order: str) -> None:
    orders = ("name", "-name", "creation_time", "-creation_time")

    assert parse_order(text, _ALLOWED, orders, "name") == order


@pytest.mark.parametrize(
    "text", [",", "name,", "name,-name", "--name", "+name", "password", "name desc", "name;--", "1"]
)
def test_what_is_not_listed_is_refused_s25_s26(text: str) -> None:
    with pytest.raises(InvalidSortError):
        parse_sort(text, _ALLOWED)


@given(st.text(max_size=40) | st.text(alphabet="name,-_creationtime", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        keys = parse_sort(text, _ALLOWED)
    except InvalidSortError:
        return
    assert {key.field for key in keys} <= {"name", "creation_time"}
