"""Loud skips: a test that doesn't run proves nothing, so a laptop hears of it and continuous integration fails."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["ALLOWED_IN_CI", "MISSING_CLIENT", "forbidden_skip_message", "require_program"]

MISSING_CLIENT: Final = "missing client"
"""How the reason of a skip begins when a program isn't installed."""

ALLOWED_IN_CI: Final[Mapping[str, str]] = {}
"""Beginnings of skip reasons that continuous integration accepts, each with why no machine there can run the test."""


def require_program(name: str) -> str:
    """Return the path of an installed program, or skip the calling test (which fails it when CI=true)."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{MISSING_CLIENT}: {name} (scripts/install-test-clients)")
    return path


def forbidden_skip_message(reason: str, environment: Mapping[str, str]) -> str | None:
    """Return why a skip with this reason is a failure in this environment, or None where skipping is fine."""
    if environment.get("CI") != "true":
        return None
    if any(reason.startswith(beginning) for beginning in ALLOWED_IN_CI):
        return None
    return f"skipped, which CI=true does not allow: {reason}"


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def _fail_forbidden_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    message = forbidden_skip_message(_skip_reason(report), os.environ)
    if message is not None:
        report.outcome = "failed"
        report.longrepr = message


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a forbidden skip of a test into its failure."""
    report = yield
    _fail_forbidden_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a forbidden skip of a whole module into a failure."""
    report = yield
    _fail_forbidden_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which programs are missing and how many tests therefore proved nothing."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = [_skip_reason(report) for report in reports]
    if not reasons:
        return
    programs = sorted(
        {reason.split(":", 1)[1].split()[0] for reason in reasons if reason.startswith(MISSING_CLIENT + ":")}
    )
    terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
    terminalreporter.line(
        f"{len(reasons)} tests were skipped and prove nothing; with CI=true they would fail."
    )
    if programs:
        terminalreporter.line(
            f"Missing programs: {', '.join(programs)}. Run scripts/install-test-clients as root."
        )
