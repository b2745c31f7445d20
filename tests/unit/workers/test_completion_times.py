"""Gauges of when something was last completed never show a time that lies ahead (F27)."""

from __future__ import annotations

import pytest

from entrepot.workers.completion_times import shown_completion

_NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (0, 0),
        (_NOW - 86_400_000, (_NOW - 86_400_000) / 1000),
        (_NOW, _NOW / 1000),
        (_NOW + 3_600_000, _NOW / 1000),
        (_NOW + 3_600_001, 1),
        (_NOW + 441_504_000_000, 1),
    ],
)
def test_what_lies_ahead_is_shown_as_now_or_as_long_ago_f27(at: int, shown: float) -> None:
    """A clock that was corrected by little delays an alarm by little; more than that lets it ring."""
    assert shown_completion(at, _NOW) == shown
