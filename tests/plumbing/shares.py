"""One run of the tests in several processes at once, each of which takes suite after suite until none is left.

With `--share=DIRECTORY` a process runs, of all tests that it found, those of the suites that it takes first: the one
with the largest budget that nobody has taken, then the next. (Without the `=` pytest takes the directory for tests.)
A suite stays whole and in order, with the fixtures of a session around it. What a process has done it leaves in the
directory; `python -m tests.plumbing.shares DIRECTORY COUNT` puts the notes of `COUNT` processes together, prints one
summary and ends with 1 unless every test has run and passed, be it at a second look (`second_look.py`); names of stages
that failed may follow.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.plumbing.budgets import STARTED_AT, budget_lines, read_budgets, seconds_per_suite, suite_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["SECOND_LOOK", "Note", "claimed", "failed_tests", "main", "read_notes", "summary_of"]

SECOND_LOOK: Final = "second-look"
"""Where `second_look.py` leaves the names of the tests that failed once and then passed alone."""

_TOGETHER: Final = ("blackbox", "conformance", "stateful")
"""They ask the same registries, one per setup, which are started and stopped once for all of them."""
_BUDGETS: Final = Path(__file__).parents[1] / "budgets.toml"
_OUTCOMES: Final = (
    "failed",
    "error",
    "passed",
    "skipped",
    "xfailed",
    "xpassed",
    "subtests passed",
    "deselected",
)
_RAN: Final = pytest.StashKey[list[str]]()
_STARTED: Final = pytest.StashKey[float]()


class Note(msgspec.Struct, frozen=True):
    """What one process did. `started` and `ended` are seconds since the epoch."""

    collected: list[str]
    ran: list[str]
    seconds: dict[str, float]
    outcomes: dict[str, int]
    bad: list[str]
    """The lines on what failed, as pytest's own summary has them."""
    exit_status: int
    started: float
    ended: float


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --share."""
    parser.addoption(
        "--share", type=Path, help="share the suites with other processes by way of this directory"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin a note."""
    config.stash[_RAN] = []
    config.stash[_STARTED] = time.time()  # noqa: TID251 - compared with the wall clock of .ci/run


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run what this process takes, in place of everything."""
    directory: Path | None = session.config.option.share
    if directory is None or session.config.option.collectonly:
        return None
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        raise session.Interrupted(f"{session.testsfailed} errors during collection")
    items = claimed(session.items, directory, read_budgets(_BUDGETS))
    item = next(items, None)
    while item is not None:
        following = next(items, None)  # what they have in common is not torn down
        session.config.stash[_RAN].append(item.nodeid)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True


def claimed(
    items: Sequence[pytest.Item], directory: Path, budgets: Mapping[str, float]
) -> Iterator[pytest.Item]:
    """Yield the tests of each suite that this process is the first to take, as it comes to it."""
    shares: dict[str, list[pytest.Item]] = {}
    cost: dict[str, float] = {}
    for suite in dict.fromkeys(suite_of(item.nodeid) for item in items):
        name = "+".join(_TOGETHER) if suite in _TOGETHER else suite
        cost[name] = cost.get(name, 0.0) + budgets.get(suite, 0.0)
        shares.setdefault(name, [])
    for item in items:
        suite = suite_of(item.nodeid)
        shares["+".join(_TOGETHER) if suite in _TOGETHER else suite].append(item)
    for name in sorted(shares, key=lambda share: (-cost[share], share)):
        try:
            (directory / name).mkdir()
        except FileExistsError:
            continue
        yield from shares[name]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Leave the note."""
    config = terminalreporter.config
    directory: Path | None = config.option.share
    if directory is None:
        return
    session = terminalreporter._session
    stats = terminalreporter.stats
    bad = [
        f"{outcome.upper()} {report.nodeid}"
        for outcome in ("failed", "error")
        for report in stats.get(outcome, [])
    ]
    note = Note(
        collected=[item.nodeid for item in session.items] if session is not None else [],
        ran=config.stash[_RAN],
        seconds=seconds_per_suite(config),
        outcomes={outcome: len(reports) for outcome, reports in stats.items() if outcome in _OUTCOMES},
        bad=bad,
        exit_status=int(exitstatus),
        started=config.stash[_STARTED],
        ended=time.time(),  # noqa: TID251 - as above
    )
    (directory / f"{os.getpid()}.json").write_bytes(msgspec.json.encode(note))


def read_notes(directory: Path) -> list[Note]:
    """Return what the processes left."""
    return [msgspec.json.decode(path.read_bytes(), type=Note) for path in sorted(directory.glob("*.json"))]


def failed_tests(notes: Sequence[Note]) -> list[str]:
    """Return the names of the tests that failed, each once."""
    return list(dict.fromkeys(_test_of(line) for note in notes for line in note.bad))


def _is_told(note: Note) -> bool:
    """Whether its end says no more than its tests: pytest ends with 1 when one of them failed."""
    return note.exit_status == (1 if note.bad else 0)


def _test_of(line: str) -> str:
    return line.partition(" ")[2]


def summary_of(
    notes: Sequence[Note],
    expected: int,
    started_at: float | None,
    failed_stages: Sequence[str] = (),
    passed_alone: Sequence[str] = (),
) -> tuple[list[str], bool]:
    """Return the lines of the summary of all processes, and whether all is well.

    `passed_alone` names tests that failed and then passed a second look.
    """
    faults = [f"FAILED {name}" for name in failed_stages]
    faults += dict.fromkeys(line for note in notes for line in note.bad if _test_of(line) not in passed_alone)
    if len(notes) != expected:
        faults.append(f"{expected - len(notes)} of {expected} processes ended without a word")
    faults += [f"a process ended with {note.exit_status}" for note in notes if not _is_told(note)]
    collected = {name for note in notes for name in note.collected}
    ran = [name for note in notes for name in note.ran]
    faults += [f"NOT RUN {name}" for name in sorted(collected.difference(ran))]
    if len(ran) != len(set(ran)):
        faults.append("some tests ran twice")
    seconds: dict[str, float] = {}
    for note in notes:
        for suite, taken in note.seconds.items():
            seconds[suite] = seconds.get(suite, 0.0) + taken
    if notes and started_at is not None:
        seconds["preparation"] = min(note.started for note in notes) - started_at
        seconds["total"] = max(note.ended for note in notes) - started_at
    lines = ["", "=== time and budget", *(line for line, _ in budget_lines(seconds, read_budgets(_BUDGETS)))]
    unsteady = [f"UNSTEADY, mend it: failed here, passed alone: {name}" for name in passed_alone]
    lines += ["", *(f"!!! {line}" for line in (*unsteady, *faults))]
    return [*lines, _last_line(notes, failed=bool(faults))], not faults


def _last_line(notes: Sequence[Note], *, failed: bool) -> str:
    counts: list[str] = []
    for outcome in _OUTCOMES:
        found = [note.outcomes.get(outcome, 0) for note in notes]
        # Each process leaves out the same ones.
        number = max(found, default=0) if outcome == "deselected" else sum(found)
        if number:
            counts.append(f"{number} {outcome}")
    minutes = (max(note.ended for note in notes) - min(note.started for note in notes)) / 60 if notes else 0.0
    return (
        f"=== {'FAILED' if failed else 'all well'}: {', '.join(counts) or 'nothing ran'} in {minutes:.1f} min"
    )


def main(directory: Path, expected: int, failed_stages: Sequence[str] = ()) -> int:
    """Print the summary and return the exit code."""
    started = os.environ.get(STARTED_AT)
    looked_again = directory / SECOND_LOOK
    passed_alone = (
        msgspec.json.decode(looked_again.read_bytes(), type=list[str]) if looked_again.exists() else []
    )
    lines, well = summary_of(
        read_notes(directory),
        expected,
        None if started is None else float(started),
        failed_stages,
        passed_alone,
    )
    print("\n".join(lines))  # noqa: T201 - what it is for
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
