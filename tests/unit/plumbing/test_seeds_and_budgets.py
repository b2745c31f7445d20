"""Seeds rotate with the commit, budgets are compared honestly, long runs wait to be asked for."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.plumbing.budgets import budget_lines, read_budgets, suite_of
from tests.plumbing.seeds import SEED_VARIABLE, choose_seed

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

pytest_plugins = ["pytester"]


def commit(folder: Path) -> None:
    """Make one empty commit."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", folder, *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True)


def test_seed_rotates_with_the_commit(tmp_path: Path) -> None:
    """The seed is the number of the commit, and the environment overrules it."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    commit(tmp_path)
    first = choose_seed({}, tmp_path)
    commit(tmp_path)

    assert (first, choose_seed({}, tmp_path)) == (1, 2)
    assert choose_seed({SEED_VARIABLE: "77"}, tmp_path) == 77


def test_seed_without_git_is_zero(tmp_path: Path) -> None:
    """A source archive has no commits."""
    assert choose_seed({}, tmp_path) == 0


def test_overrun_and_missing_budget_are_marked() -> None:
    """A suite over its minutes, or without any, is marked; one within is not."""
    lines = budget_lines({"unit": 30.0, "faults": 90.0, "new": 1.0}, {"unit": 1.0, "faults": 1.0})

    assert [(line.split()[0], over) for line, over in lines] == [
        ("faults", True),
        ("new", True),
        ("unit", False),
    ]
    assert "OVER BUDGET" in lines[0][0]


def test_without_budgets_only_the_time_is_told() -> None:
    """Long runs are compared with nothing."""
    assert budget_lines({"soak": 3600.0}, {}) == [("soak          60.00 min", False)]


def test_every_suite_has_a_budget(pytestconfig: pytest.Config) -> None:
    """Each folder of tests has its minutes, and the parts are no more than this project's limit for the whole."""
    tests = pytestconfig.rootpath / "tests"
    budgets = read_budgets(tests / "budgets.toml")
    suites = {folder.name for folder in tests.iterdir() if any(folder.rglob("test_*.py"))}

    assert sorted(suites - set(budgets)) == []
    assert budgets["total"] <= 25


def test_suite_is_the_folder_below_tests() -> None:
    """The suite is read off the node id."""
    assert suite_of("tests/unit/oci/test_digest.py::test_x[a/b]") == "unit"
    assert suite_of("test_x.py::test_x") == "other"


def test_long_runs_wait_to_be_asked_for(
    pytester: pytest.Pytester, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test marked long is left out, not skipped, unless --run-long is given."""
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))
    pytester.makeini("[pytest]\nmarkers = long")
    pytester.mkdir("tests").joinpath("budgets.toml").write_text("[minutes]\nother = 1\n")
    pytester.makepyfile("import pytest\n@pytest.mark.long\ndef test_a(): pass\ndef test_b(): pass\n")
    arguments = ("-p", "tests.plumbing.budgets", "-p", "no:cacheprovider", "-p", "no:asyncio")

    pytester.runpytest_inprocess(*arguments).assert_outcomes(passed=1, deselected=1)
    pytester.runpytest_inprocess(*arguments, "--run-long").assert_outcomes(passed=2)
