"""Records all plans at once, and takes the log of each out of the whole."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from tests.faults.crashstates.history import History
from tests.faults.crashstates.mounting import recorded
from tests.faults.crashstates.operations import Mark, Operation, read_operations
from tests.faults.crashstates.recorder import BEGIN, RecorderOrder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.faults.crashstates.recording_filesystem import Mischief

__all__ = ["perform_plans", "record_plans"]


def record_plans(directory: Path, plans: Sequence[str], seed: int) -> dict[str, History]:
    """Carry out each of `plans` on the recording file system; return what happened to the disk, by plan.

    Raises:
        AssertionError: one could not be carried out even without a fault.
    """
    done = perform_plans(directory, plans, seed)
    assert done.returncode == 0, done.stderr.decode()
    operations = read_operations(directory / "operations")
    begins = [index for index, operation in enumerate(operations) if _begun(operation)]
    ends = [*begins[1:], len(operations)]
    return {name: History(operations[:end], name) for name, end in zip(plans, ends, strict=True)}


def perform_plans(
    directory: Path, plans: Sequence[str], seed: int, mischief: Mischief | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Carry out `plans` in a process of its own, on a disk that does mischief; return how that process ended."""
    with recorded(directory, mischief) as mount:
        order = RecorderOrder(str(mount), seed, tuple(plans))
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.faults.crashstates.recorder",
                msgspec.json.encode(order).decode(),
            ],
            capture_output=True,
            check=False,
            timeout=300,
        )


def _begun(operation: Operation) -> bool:
    return isinstance(operation, Mark) and operation.text.startswith(BEGIN.encode())
