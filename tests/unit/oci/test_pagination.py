"""A page size is clamped, never trusted (S36)."""

from __future__ import annotations

import time

import pytest

from entrepot.oci.pagination import InvalidPageSizeError, parse_page_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("0", 0),
        ("1", 1),
        ("007", 7),
        ("000", 0),
        ("999", 999),
        ("1000", 1000),
        ("1001", 1000),
        ("1000000000", 1000),
        ("9" * 5000, 1000),
        ("0" * 5000 + "8", 8),
    ],
)
def test_s36_a_page_size_is_read_and_clamped(text: str | None, expected: int | None) -> None:
    assert parse_page_size(text, 1000) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "-0",
        "+1",
        "1.0",
        "1e3",
        "0x10",
        "1_000",
        " 1",
        "1 ",
        "1\n",
        "ten",
        "\u0661",
        "\u00b2",
        "1,2",
        "\ud800",
    ],
)
def test_s36_anything_but_digits_is_refused(text: str) -> None:
    with pytest.raises(InvalidPageSizeError) as caught:
        parse_page_size(text, 1000)

    assert caught.value.text == text


def test_s36_a_million_digits_cost_next_to_nothing() -> None:
    started = time.process_time()

    assert parse_page_size("9" * 1_000_000, 1000) == 1000
    assert time.process_time() - started < 0.5
