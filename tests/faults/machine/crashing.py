"""Runs flows in processes that die at a failpoint, one fork each, and tells how they ended."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from entrepot.settings import dump_settings
from tests.faults.crash_server import Order
from tests.faults.forks import Outcome
from tests.faults.pushing import AcknowledgementLog, read_acknowledgements

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings
    from tests.faults.pushing import Acknowledgement

__all__ = ["FlowServer", "Subject"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A repository of its own, the seed of what goes into it, and the record of what was acknowledged."""

    settings: Settings
    seed: int
    repository: str
    record: Path

    def acknowledged(self) -> list[Acknowledgement]:
        """Return what was promised before the process ended."""
        return read_acknowledgements(self.record)

    def log(self) -> AcknowledgementLog:
        """Open the record."""
        return AcknowledgementLog.open(self.record)


class FlowServer:
    """The process that forks flows (`tests.faults.crash_server`)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count(1)
        self._errors = (directory / "stderr").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crash_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def prepare(self, settings: Settings) -> Subject:
        """Return a subject that nothing was done with yet."""
        seed = next(self._numbers)
        return Subject(settings, seed, f"machine/flow-{seed}", self._directory / f"acknowledged-{seed}")

    def run(self, subject: Subject, script: str, failpoints: str = "") -> Outcome:
        """Run a function of `tests.faults.machine.flows` in a fork and return how that ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = Order(
            settings=dump_settings(subject.settings).decode(),
            failpoints=failpoints,
            seed=subject.seed,
            repository=subject.repository,
            acknowledgements=str(subject.record),
            script=f"tests.faults.machine.flows:{script}",
        )
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Outcome)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._errors.close()
