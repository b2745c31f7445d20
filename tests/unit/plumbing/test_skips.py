"""Skips are loud on a laptop and fail in continuous integration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plumbing import skips

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

ROOT_MARKER = "pyproject.toml"
SKIPPING = """
import pytest
from tests.plumbing.skips import require_program

def test_needs_a_program():
    require_program("no-such-program")

def test_expected_to_fail():
    pytest.xfail("known")

@pytest.mark.skip(reason="not today")
def test_marked():
    pass

def test_passes():
    pass
"""


@pytest.fixture
def project(
    pytester: pytest.Pytester, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """Return an empty project in which this project's plumbing can be imported."""
    root: Path = pytestconfig.rootpath
    monkeypatch.setenv("PYTHONPATH", str(root))
    return pytester


def run(project: pytest.Pytester) -> pytest.RunResult:
    """Run the tests of the project with the plug-in under test only."""
    return project.runpytest_inprocess(
        "-p", "tests.plumbing.skips", "-p", "no:cacheprovider", "-p", "no:asyncio"
    )


def test_skip_fails_in_ci(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """With CI=true each skip is a failure that names its reason; expected failures stay what they are."""
    monkeypatch.setenv("CI", "true")
    project.makepyfile(SKIPPING)
    result = run(project)

    result.assert_outcomes(passed=1, failed=1, errors=1, xfailed=1)
    result.stdout.fnmatch_lines(["*CI=true does not allow: missing client: no-such-program*"])


def test_skipped_module_fails_in_ci(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole module that skips itself is an error too."""
    monkeypatch.setenv("CI", "true")
    project.makepyfile("import pytest\npytest.skip('not here', allow_module_level=True)\n")
    result = run(project)

    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*CI=true does not allow: not here*"])


def test_skip_is_loud_on_a_laptop(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CI a skip stays a skip; the summary counts them and names the missing programs."""
    monkeypatch.delenv("CI", raising=False)
    project.makepyfile(SKIPPING)
    result = run(project)

    result.assert_outcomes(passed=1, skipped=2, xfailed=1)
    result.stdout.fnmatch_lines(
        ["*NOT TESTED*", "2 tests were skipped*", "Missing programs: no-such-program.*"]
    )


def test_allowed_beginning_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reason that begins as listed in ALLOWED_IN_CI is no failure."""
    monkeypatch.setattr(skips, "ALLOWED_IN_CI", {"needs two machines": "there is one"})

    assert skips.forbidden_skip_message("needs two machines: a and b", {"CI": "true"}) is None
    assert skips.forbidden_skip_message("needs three machines", {"CI": "true"}) is not None
    assert skips.forbidden_skip_message("needs three machines", {}) is None
