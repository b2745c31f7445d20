"""Every fault is tried once at each merge; a long run tries each several times and writes down what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.faults.machine.findings import Findings
from tests.plumbing.evidence import LongRun, write_evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPETITIONS: Final = 2
_COVERS: Final = ("src/entrepot", "tests/faults")
_ROWS: Final = {"F1", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12", "F45"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat what isn't a long run by itself, in long runs only."""
    if "repetition" in metafunc.fixturenames and metafunc.definition.get_closest_marker("long") is None:
        again = [
            pytest.param(number, id=f"{number}", marks=pytest.mark.long) for number in range(1, _REPETITIONS)
        ]
        metafunc.parametrize("repetition", [pytest.param(0, id="0"), *again], indirect=True)


@pytest.fixture(autouse=True)
def repetition(request: pytest.FixtureRequest) -> int:
    """Which try of the same fault this is; a seed for those that choose."""
    return int(getattr(request, "param", 0))


@pytest.fixture(scope="session")
def findings(request: pytest.FixtureRequest, rotating_seed: int) -> Iterator[Findings]:
    """Gather what is seen; written to `docs/evidence/machine-faults.json` when a long run tried every row."""
    run, found = LongRun(rotating_seed), Findings()
    yield found
    if (
        request.config.getoption("--run-long")
        and set(found.cases) >= _ROWS
        and not request.session.testsfailed
    ):
        write_evidence("machine-faults", {"rows": found.facts()}, run, covers=_COVERS)
