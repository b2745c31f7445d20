"""The times of audit commands: one meaning, wherever they are given and whatever the clock of that machine says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from entrepot.client.errors import ClientError
from entrepot.client.times import read_span, time_in_utc
from entrepot.kernel.times import milliseconds_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine lie eight hours east of Greenwich."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC-8")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_away")
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-27", "2026-11-27T00:00:00.000Z"),
        ("2026-11-27T10:00", "2026-11-27T10:00:00.000Z"),
        ("2026-11-27 10:00:00.25", "2026-11-27T10:00:00.250Z"),
        ("2026-11-27T10:00:00Z", "2026-11-27T10:00:00.000Z"),
        ("2026-11-27T10:00+08:00", "2026-11-27T02:00:00.000Z"),
        ("1969-07-20", "1969-07-20T00:00:00.000Z"),
    ],
)
def test_a_time_means_the_same_to_commands_and_to_the_registry(text: str, meant: str) -> None:
    first, end = read_span(text, "")

    assert first is not None
    assert (first, end) == (milliseconds_of(text), None)
    assert time_in_utc(first) == meant
    assert milliseconds_of(meant) == first


@pytest.mark.parametrize(
    ("since", "until", "told"),
    [
        ("yesterday", "", "--from yesterday: is no time"),
        ("", "2026-13-01", "--to 2026-13-01: is no time"),
        ("9999-12-31T23:59-08:00", "", "is no time"),
        ("2026-11-27T02:00", "2026-11-27T10:00+08:00", "--to has to be later than --from"),
    ],
)
def test_what_is_no_time_and_a_span_without_one_are_refused(since: str, until: str, told: str) -> None:
    with pytest.raises(ClientError, match=told):
        read_span(since, until)
