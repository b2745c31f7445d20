"""Tables: alignment, the width of characters, cutting, and that a server can't steer the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.client.showing import time_of
from entrepot.client.tables import format_facts, format_table
from entrepot.client.text import cut, one_line, width_of


def test_wide_characters_count_as_two() -> None:
    table = format_table(("NAME", "OWNER"), [("仓库", "a"), ("team", "李雷"), ("e\u0301x", "")], None)

    assert table == "NAME  OWNER\n仓库  a\nteam  李雷\ne\u0301x"


def test_a_table_fits_the_terminal_and_its_widest_column_gives() -> None:
    table = format_table(("NAME", "DESCRIPTION"), [("short", "x" * 60), ("other", "仓" * 30)], 30)

    assert table.splitlines() == [
        "NAME   DESCRIPTION",
        "short  " + "x" * 22 + "…",
        "other  " + "仓" * 11 + "…",
    ]


def test_what_commands_take_is_never_cut() -> None:
    table = format_table(("ID", "BROWSER"), [("0" * 32, "x" * 60)], 50)

    assert table.splitlines() == ["ID" + " " * 32 + "BROWSER", "0" * 32 + "  " + "x" * 15 + "…"]
    assert "0" * 32 in format_table(("ID", "BROWSER"), [("0" * 32, "x" * 60)], 10)


def test_nothing_is_cut_where_no_terminal_is() -> None:
    assert format_table(("A",), [("x" * 300,)], None).endswith("x" * 300)


def test_a_column_stays_wide_enough_to_tell_something() -> None:
    table = format_table(("AAAAAAAAAA", "BBBBBBBBBB"), [("c" * 10, "d" * 10)], 5)

    assert table.splitlines()[1] == "ccccccc…  ddddddd…"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "a\nb", "\u202egnp", "\x9b31m", "a\u2028b"])
def test_what_would_steer_a_terminal_is_replaced(text: str) -> None:
    assert "\ufffd" in one_line(text)
    assert not set(one_line(text)) & set("\x1b\r\n\u202e\x9b\u2028")


def test_facts_line_up() -> None:
    assert format_facts([("NAME", "a"), ("KIND", "")]) == "NAME  a\nKIND"


@given(st.text(max_size=30), st.integers(min_value=1, max_value=40))
def test_what_is_cut_is_never_wider_than_said(text: str, columns: int) -> None:
    assert width_of(cut(text, columns)) <= columns
    if width_of(text) <= columns:
        assert cut(text, columns) == text


@pytest.mark.parametrize(
    ("value", "zone", "shown"),
    [
        ("2026-11-27T10:00:00.250Z", "UTC", "2026-11-27 10:00:00+00:00"),
        ("2026-11-27T10:00:00Z", "Asia/Shanghai", "2026-11-27 18:00:00+08:00"),
        (1795687200, "UTC", "2026-11-26 10:00:00+00:00"),
        ("soon", "UTC", "soon"),
        (10**30, "UTC", str(10**30)),
    ],
)
def test_times_are_shown_as_they_are_here_with_the_offset(
    value: object, zone: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert time_of(value) == shown
    finally:
        monkeypatch.undo()
        time.tzset()
