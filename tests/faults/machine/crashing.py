"""Runs flows in processes that die at a failpoint, one fork each, and tells how they ended."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from entrepot.settings import dump_settings
from tests.faults.crash_server import Order
from tests.faults.forks import ForkServer, Outcome
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


class FlowServer(ForkServer):
    """The process that forks flows (`tests.faults.crash_server`)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count(1)
        super().__init__("tests.faults.crash_server", directory / "stderr")

    def prepare(self, settings: Settings) -> Subject:
        """Return a subject that nothing was done with yet."""
        seed = next(self._numbers)
        return Subject(settings, seed, f"machine/flow-{seed}", self._directory / f"acknowledged-{seed}")

    def run(self, subject: Subject, script: str, failpoints: str = "") -> Outcome:
        """Run a function of `tests.faults.machine.flows` in a fork and return how that ended."""
        order = Order(
            settings=dump_settings(subject.settings).decode(),
            failpoints=failpoints,
            seed=subject.seed,
            repository=subject.repository,
            acknowledgements=str(subject.record),
            script=f"tests.faults.machine.flows:{script}",
        )
        return self.order(order)
