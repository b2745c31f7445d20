"""Time per suite beside its budget (tests/budgets.toml), and long runs only when asked for."""

from __future__ import annotations

import os
import time
import tomllib
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["STARTED_AT", "budget_lines", "read_budgets", "seconds_per_suite", "suite_of"]

STARTED_AT: Final = "CI_STARTED_AT"
_LONGEST: Final = "soak"
"""What goes wrong elsewhere is known an hour earlier when this suite waits."""
_SECONDS = pytest.StashKey[dict[str, float]]()
_SESSION_STARTED_AT = pytest.StashKey[int]()


def read_budgets(path: Path) -> dict[str, float]:
    """Return the minutes allowed per suite."""
    with path.open("rb") as file:
        return {name: float(minutes) for name, minutes in tomllib.load(file)["minutes"].items()}


def suite_of(node_id: str) -> str:
    """Return the suite a test belongs to: the folder below `tests`."""
    parts = node_id.split("::", 1)[0].split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "tests" else "other"


def seconds_per_suite(config: pytest.Config) -> dict[str, float]:
    """Return what the suites of this process have taken so far."""
    return config.stash[_SECONDS].copy()


def budget_lines(seconds: Mapping[str, float], budgets: Mapping[str, float]) -> list[tuple[str, bool]]:
    """Return one line per measured suite and whether it goes over its budget; without any budgets just the time."""
    lines: list[tuple[str, bool]] = []
    for suite in sorted(seconds):
        minutes = seconds[suite] / 60
        if not budgets:
            lines.append((f"{suite:<13}{minutes:6.2f} min", False))
            continue
        allowed = budgets.get(suite)
        if allowed is None:
            lines.append((f"{suite:<13}{minutes:6.2f} min, no budget in tests/budgets.toml", True))
            continue
        over = minutes > allowed
        lines.append(
            (f"{suite:<13}{minutes:6.2f} min of {allowed:.1f}{'   OVER BUDGET' if over else ''}", over)
        )
    return lines


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --run-long."""
    parser.addoption("--run-long", action="store_true", help="run the tests marked `long` too")


def pytest_configure(config: pytest.Config) -> None:
    """Start the clocks."""
    config.stash[_SECONDS] = {}
    config.stash[_SESSION_STARTED_AT] = int(time.time())  # noqa: TID251 - compared with the wall clock of .ci/run


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out (not skip: nothing is missing) the long runs unless asked for; then the longest comes last."""
    if config.getoption("--run-long"):
        items.sort(key=lambda item: suite_of(item.nodeid) == _LONGEST)
        return
    long: Sequence[pytest.Item] = [item for item in items if item.get_closest_marker("long") is not None]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


class _Stopwatch:
    """Adds up what the reports say each suite took."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count set-up, call and tear-down."""
        suite = suite_of(report.nodeid)
        self._seconds[suite] = self._seconds.get(suite, 0.0) + report.duration


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to measure."""
    session.config.pluginmanager.register(_Stopwatch(session.config.stash[_SECONDS]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, unless this process has a part of the tests only: see :mod:`tests.plumbing.shares`."""
    if config.getoption("share", None) is not None:
        return
    budgets = read_budgets(config.rootpath / "tests" / "budgets.toml")
    seconds = seconds_per_suite(config)
    started = os.environ.get(STARTED_AT)
    if started is not None:
        seconds["preparation"] = config.stash[_SESSION_STARTED_AT] - int(started)
        seconds["total"] = time.time() - int(started)  # noqa: TID251 - as above
    if not seconds:
        return
    if config.getoption("--run-long"):
        budgets = {}  # they are for what runs at each merge
    terminalreporter.section("time and budget")
    for line, over in budget_lines(seconds, budgets):
        terminalreporter.line(line, yellow=over)
