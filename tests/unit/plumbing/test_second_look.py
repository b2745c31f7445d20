"""A test that only a busy machine breaks is told and fails nothing; one that breaks again fails the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.plumbing import second_look
from tests.plumbing.second_look import MOST, TIMES, main, steady_when_alone
from tests.plumbing.shares import SECOND_LOOK, Note, summary_of

if TYPE_CHECKING:
    from pathlib import Path

_SLOW, _BROKEN = "tests/faults/test_slow.py::test_it", "tests/faults/test_broken.py::test_it[a b]"


def _note(*failed: str, exit_status: int = 1) -> Note:
    return Note(
        collected=[_SLOW, _BROKEN],
        ran=[_SLOW, _BROKEN],
        seconds={},
        outcomes={"failed": len(failed)},
        bad=[f"FAILED {name}" for name in failed],
        exit_status=exit_status,
        started=0.0,
        ended=60.0,
    )


def test_each_is_asked_as_often_as_it_passes_and_one_failure_is_enough() -> None:
    asked: list[str] = []

    def passes(name: str) -> bool:
        asked.append(name)
        return name == _SLOW or asked.count(name) == 1

    assert steady_when_alone([_BROKEN, _SLOW], passes) == [_SLOW]
    assert asked == [_BROKEN] * 2 + [_SLOW] * TIMES


def test_many_are_a_defect_and_not_looked_at_again() -> None:
    assert steady_when_alone([f"tests/test_{number}.py" for number in range(MOST + 1)], lambda _: True) == []


def test_what_passed_alone_is_told_and_fails_nothing() -> None:
    lines, well = summary_of([_note(_SLOW)], 1, None, passed_alone=[_SLOW])

    assert well
    assert lines[-2:] == [
        f"!!! UNSTEADY, mend it: failed here, passed alone: {_SLOW}",
        "=== all well: 1 failed in 1.0 min",
    ]


@pytest.mark.parametrize(
    ("note", "told"),
    [
        (_note(_SLOW, _BROKEN), f"!!! FAILED {_BROKEN}"),
        (_note(_SLOW, exit_status=2), "!!! a process ended with 2"),
        (_note(exit_status=1), "!!! a process ended with 1"),
    ],
)
def test_nothing_else_is_excused_by_it(note: Note, told: str) -> None:
    lines, well = summary_of([note], 1, None, passed_alone=[_SLOW])

    assert not well
    assert told in lines
    assert lines[-1].startswith("=== FAILED: ")


def test_a_test_that_failed_once_is_run_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two real files: one fails whenever it is run, the other no more; names with blanks and brackets are kept."""
    (tmp_path / "test_broken.py").write_text(
        "import pytest\n@pytest.mark.parametrize('x', ['a b'])\ndef test_it(x): assert x == ''\n"
    )
    (tmp_path / "test_slow.py").write_text(
        "import pytest\n@pytest.mark.parametrize('x', ['a b'])\ndef test_it(x): assert x == 'a b'\n"
    )
    shared = tmp_path / "shared"
    shared.mkdir()
    names = [f"test_{name}.py::test_it[a b]" for name in ("broken", "slow")]
    (shared / "1.json").write_bytes(msgspec.json.encode(_note(*names)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(second_look, "TIMES", 1)

    main(shared)

    assert msgspec.json.decode((shared / SECOND_LOOK).read_bytes()) == [names[1]]
