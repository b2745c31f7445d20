"""F2, F3: the power fails after any operation, what was in doubt is lost, torn or reordered, and every promise is kept.

Each plan is carried out once on a file system that records it; the states that a crash may leave are computed from the
record, and the registry is opened on each.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.faults.crashstates.choices import (
    Thoroughness,
    choose,
    coverage,
    distinct_states,
    enumerate_states,
)
from tests.faults.crashstates.examination import Job, examine_tree, prepare_worker
from tests.faults.crashstates.history import History
from tests.faults.crashstates.operations import SyncDirectory, SyncFile
from tests.faults.crashstates.plans import PLANS
from tests.faults.crashstates.recording import record_plans
from tests.plumbing.evidence import LongRun, write_evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.faults.crashstates.history import CrashState
    from tests.faults.crashstates.operations import Operation

_SHORT: Final = Thoroughness(all_subsets_up_to=5, samples=2, torn_writes=2, crashes=30)
_SHORT_STATES: Final = 90
_LONG: Final = Thoroughness(all_subsets_up_to=12, samples=20, torn_writes=12, crashes=sys.maxsize)
_LONG_STATES: Final = int(os.environ.get("CRASH_STATES", "1500"))
"""Of each plan; 1500 take ten minutes for all plans where nothing else runs."""
_FORGETFUL_PLAN: Final = "push-one-layer"
_FORGETFUL_STATES: Final = 40
_WORKERS: Final = 2
_STATES_AT_ONCE: Final = 64
_COVERS: Final = ("src/entrepot", "tests/faults/crashstates", "tests/faults/images.py")
_TOTALS: Final = ("operations", "states", "distinct", "classes", "examined", "broken")
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - states are written below a directory of our own in it


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A directory in memory, where there is one: thousands of states are written and removed."""
    directory = Path(tempfile.mkdtemp(prefix="crash-states-", dir=_MEMORY if _MEMORY.is_dir() else None))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def histories(scratch: Path, rotating_seed: int) -> Mapping[str, History]:
    """What each plan does to the disk."""
    return record_plans(scratch, list(PLANS), rotating_seed)


@pytest.fixture(scope="module")
def workers() -> Iterator[ProcessPoolExecutor]:
    """Processes that examine states beside each other."""
    with ProcessPoolExecutor(_WORKERS, multiprocessing.get_context("spawn"), prepare_worker) as pool:
        yield pool


def _describe(history: History, state: CrashState) -> str:
    def name(index: int) -> str:
        operation = history.operations[index]
        node = getattr(operation, "node", None)
        named = getattr(operation, "name", None) or (history.name_of(node) if node is not None else "")
        return f"{index} {type(operation).__name__} {named}"

    parts = [f"power fails after {name(state.length - 1)}"]
    parts.extend(f"lost {name(index)}" for index in sorted(state.lost))
    parts.extend(f"{one.kind} {one.extent} of {name(one.operation)}" for one in state.damaged)
    return "\n  ".join(parts)


def _examine(
    workers: ProcessPoolExecutor,
    history: History,
    states: list[CrashState],
    plan: str,
    seed: int,
    scratch: Path,
) -> list[str]:
    """Return what is wrong, with the state that shows it. A few states at a time: each is megabytes."""
    broken: list[str] = []
    for start in range(0, len(states), _STATES_AT_ONCE):
        part = states[start : start + _STATES_AT_ONCE]
        jobs = [
            Job(history.tree(state), plan, seed, history.marks(state.length), str(scratch)) for state in part
        ]
        for state, outcome in zip(part, workers.map(examine_tree, jobs), strict=True):
            if outcome:
                broken.append(f"{outcome}\n  {_describe(history, state)}")
    return broken


@pytest.mark.parametrize("plan", PLANS)
def test_f2_f3_f4_a_power_cut_breaks_no_promise(
    plan: str,
    histories: Mapping[str, History],
    workers: ProcessPoolExecutor,
    scratch: Path,
    rotating_seed: int,
) -> None:
    """In a seeded choice of states I1, I2, I3, I5 and I7 hold (F2: lost, F3: reordered, F4: torn)."""
    history = histories[plan]
    _, distinct = distinct_states(history, enumerate_states(history, _SHORT, rotating_seed))
    chosen, _ = choose(history, distinct, _SHORT_STATES, rotating_seed)
    broken = _examine(workers, history, chosen, plan, rotating_seed, scratch)
    assert not broken, f"{len(broken)} of {len(chosen)} states break a promise:\n" + "\n".join(broken[:5])


@pytest.mark.parametrize("forgotten", ["names", "blobs", "log"])
def test_a_forgotten_sync_is_noticed(
    forgotten: str,
    histories: Mapping[str, History],
    workers: ProcessPoolExecutor,
    scratch: Path,
    rotating_seed: int,
) -> None:
    """The same record without the syncs of directories, of blobs or of SQLite's log: promises break."""
    history = _without_syncs(histories[_FORGETFUL_PLAN], forgotten)
    _, distinct = distinct_states(history, enumerate_states(history, _SHORT, rotating_seed))
    chosen, _ = choose(history, distinct, _FORGETFUL_STATES, rotating_seed)
    assert _examine(workers, history, chosen, _FORGETFUL_PLAN, rotating_seed, scratch)


def _without_syncs(history: History, forgotten: str) -> History:
    """Return the history of a registry that does not sync one kind of thing."""

    def is_forgotten(operation: Operation) -> bool:
        if isinstance(operation, SyncDirectory):
            return forgotten == "names"
        if not isinstance(operation, SyncFile):
            return False
        name = history.name_of(operation.node)
        return name.endswith("-wal") if forgotten == "log" else forgotten == "blobs" and "." not in name

    kept = [operation for operation in history.operations if not is_forgotten(operation)]
    return History(kept, _FORGETFUL_PLAN)


@pytest.mark.long
def test_f2_f3_f4_many_power_cuts_break_no_promise(
    histories: Mapping[str, History],
    workers: ProcessPoolExecutor,
    scratch: Path,
    rotating_seed: int,
    subtests: pytest.Subtests,
) -> None:
    """The same with all subsets of up to 12 operations in doubt, and the figures go to docs/evidence (F2, F3, F4)."""
    run = LongRun(rotating_seed)
    facts: dict[str, dict[str, Any]] = {}
    for plan, history in histories.items():
        with subtests.test(plan):
            tried, distinct = distinct_states(history, enumerate_states(history, _LONG, rotating_seed))
            chosen, classes = choose(history, distinct, _LONG_STATES, rotating_seed)
            broken = _examine(workers, history, chosen, plan, rotating_seed, scratch)
            seen = sum((coverage(history, state) for state in chosen), Counter[str]())
            facts[plan] = {
                "operations": len(history.operations) - history.begin,
                "states": tried,
                "distinct": len(distinct),
                "classes": classes,
                "examined": len(chosen),
                "broken": len(broken),
                "coverage": dict(sorted(seen.items())),
            }
            assert not broken, "\n".join(broken[:5])
    totals = {key: sum(fact[key] for fact in facts.values()) for key in _TOTALS}
    sides = {"most_per_plan": _LONG_STATES, "workers": _WORKERS}
    write_evidence("crash-states", {**sides, "totals": totals, "plans": facts}, run, covers=_COVERS)
