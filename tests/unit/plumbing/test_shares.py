"""Processes that share the tests: each suite runs once, and whatever is amiss in one of them is in the one summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.plumbing.shares import Note, claimed, main, summary_of

pytest_plugins = ["pytester"]

if TYPE_CHECKING:
    from pathlib import Path

_WELL = Note(
    collected=["tests/unit/test_a.py::test_a", "tests/faults/test_b.py::test_b"],
    ran=["tests/unit/test_a.py::test_a"],
    seconds={"unit": 12.0},
    outcomes={"passed": 1, "deselected": 7},
    bad=[],
    exit_status=0,
    started=1060.0,
    ended=1180.0,
)
_OTHER = msgspec.structs.replace(_WELL, ran=["tests/faults/test_b.py::test_b"], seconds={"faults": 600.0})


class _Named:
    """All that is asked of a test here."""

    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid


def _items(*names: str) -> list[pytest.Item]:
    return [_Named(f"tests/{name}.py::test") for name in names]  # type: ignore[misc]  # stands for one


def _claim(items: list[pytest.Item], directory: Path, budgets: dict[str, float]) -> list[str]:
    return [
        item.nodeid.removeprefix("tests/").removesuffix(".py::test")
        for item in claimed(items, directory, budgets)
    ]


def test_the_largest_suite_comes_first_and_each_stays_whole(tmp_path: Path) -> None:
    items = _items("a/test_1", "b/test_1", "a/test_2", "b/test_2")

    assert _claim(items, tmp_path, {"a": 1.0, "b": 2.0}) == ["b/test_1", "b/test_2", "a/test_1", "a/test_2"]


def test_a_suite_that_another_process_took_is_left_to_it(tmp_path: Path) -> None:
    items, budgets = _items("a/test_1", "b/test_1", "c/test_1"), {"a": 3.0, "b": 2.0, "c": 1.0}
    one = claimed(items, tmp_path, budgets)
    first = next(one).nodeid
    rest = _claim(items, tmp_path, budgets)

    assert (first, rest, list(one)) == ("tests/a/test_1.py::test", ["b/test_1", "c/test_1"], [])


def test_suites_that_ask_the_same_registries_stay_together(tmp_path: Path) -> None:
    """Their budgets count together, and their tests keep the order that pytest gave them for the registries' sake."""
    items = _items("faults/test_1", "blackbox/test_1", "conformance/test_1", "blackbox/test_2")
    budgets = {"faults": 5.0, "blackbox": 4.0, "conformance": 2.0}

    assert _claim(items, tmp_path, budgets) == [
        "blackbox/test_1",
        "conformance/test_1",
        "blackbox/test_2",
        "faults/test_1",
    ]


def test_a_run_in_two_processes_has_one_summary() -> None:
    lines, well = summary_of([_WELL, _OTHER], 2, 1000.0)

    assert well
    assert lines[-1] == "=== all well: 2 passed, 7 deselected in 2.0 min"
    assert [line.split()[:2] for line in lines if " min of " in line] == [
        ["faults", "10.00"],
        ["preparation", "1.00"],
        ["total", "3.00"],
        ["unit", "0.20"],
    ]
    assert [line.split()[0] for line in lines if "OVER BUDGET" in line] == ["faults"]


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ([_WELL], "!!! 1 of 2 processes ended without a word"),
        ([_WELL], "!!! NOT RUN tests/faults/test_b.py::test_b"),
        ([_WELL, _WELL], "!!! some tests ran twice"),
        ([_WELL, msgspec.structs.replace(_OTHER, exit_status=2)], "!!! a process ended with 2"),
        (
            [
                _WELL,
                msgspec.structs.replace(_OTHER, exit_status=1, bad=["FAILED tests/faults/test_b.py::test_b"]),
            ],
            "!!! FAILED tests/faults/test_b.py::test_b",
        ),
    ],
)
def test_what_is_amiss_in_either_is_told_and_fails_the_run(notes: list[Note], told: str) -> None:
    lines, well = summary_of(notes, 2, None)

    assert not well
    assert told in lines
    assert lines[-1].startswith("=== FAILED: ")


def test_a_stage_that_failed_is_told_with_the_tests() -> None:
    lines, well = summary_of([_WELL, _OTHER], 2, None, ["check"])

    assert not well
    assert lines[-2:] == [
        "!!! FAILED check",
        "=== FAILED: 2 passed, 7 deselected in 2.0 min",
    ]


def test_processes_run_every_test_once_and_tell_of_a_failure(
    pytester: pytest.Pytester,
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two processes, the first of which finds a suite taken; fixtures of a session live as long as it takes tests."""
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))
    monkeypatch.delenv("CI_STARTED_AT", raising=False)
    for suite, body in (("unit", "assert True"), ("faults", "assert False")):
        folder = pytester.path / "tests" / suite
        folder.mkdir(parents=True)
        (folder / f"test_{suite}.py").write_text(f"def test_it(): {body}\n")
    (pytester.path / "tests" / "budgets.toml").write_text("[minutes]\n")
    directory = pytester.mkdir("shared")
    (directory / "faults").mkdir()
    plugins = [f"-ptests.plumbing.{name}" for name in ("budgets", "shares")]
    arguments = (
        *plugins,
        "-pno:cacheprovider",
        "-pno:asyncio",
        f"--share={directory}",
        "--import-mode=importlib",
    )

    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=1)
    alone = main(directory, 1)
    (directory / "faults").rmdir()
    pytester.runpytest_subprocess(*arguments).assert_outcomes(failed=1)
    both = main(directory, 2)
    said = capsys.readouterr().out

    assert (alone, both) == (1, 1)
    assert "NOT RUN tests/faults/test_faults.py::test_it" in said
    assert said.splitlines()[-1].startswith("=== FAILED: 1 failed, 1 passed in ")
