"""A second look at the few tests of a shared run that failed: alone, one after the other, when the machine is calm.

Of twelve thousand tests that share two cores with servers and containers, one that waits for a deadline loses it now
and then, which says nothing of the commit. What passes `TIMES` times in a row alone is told as UNSTEADY, and to be
mended; what fails once more fails the run, as before. Where more than `MOST` failed there is no second look: so many
are a defect. `python -m tests.plumbing.second_look DIRECTORY` comes between the processes and their summary
(`shares.py`), to which it leaves the names of those that passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tests.plumbing.budgets import STARTED_AT
from tests.plumbing.shares import SECOND_LOOK, failed_tests, read_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MOST", "TIMES", "main", "passes_alone", "steady_when_alone"]

MOST: Final = 5
TIMES: Final = 3


def steady_when_alone(failed: Sequence[str], passes: Callable[[str], bool]) -> list[str]:
    """Return those of the tests `failed` that pass each of `TIMES` times; none if they are more than `MOST`."""
    if len(failed) > MOST:
        return []
    return [name for name in failed if all(passes(name) for _ in range(TIMES))]


def passes_alone(name: str) -> bool:
    """Whether the test passes in a process of its own, the output of which goes where this one's goes."""
    environment = {key: value for key, value in os.environ.items() if key != STARTED_AT}
    done = subprocess.run([sys.executable, "-m", "pytest", name], check=False, env=environment)
    return done.returncode == 0


def main(directory: Path) -> None:
    """Look again at what the notes in `directory` call failed."""
    passed = steady_when_alone(failed_tests(read_notes(directory)), passes_alone)
    (directory / SECOND_LOOK).write_bytes(msgspec.json.encode(passed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
