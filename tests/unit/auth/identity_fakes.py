"""Stand-ins for the neighbours of decisions: epochs that move by hand, a clock, decisions from a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from entrepot.auth.decisions import ProjectStanding, RepositoryStanding
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.metadata.epoch_store import EpochsNamed
from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from entrepot.oci.names import RepositoryName

__all__ = ["ANYBODY", "HandClock", "HandEpochs", "TableDecisions", "person", "with_token"]

ANYBODY = Principal(ANONYMOUS, "10.0.0.1", forwarded=False)


def person(name: str = "ann") -> Principal:
    """Return somebody who logged in with a password."""
    return Principal(f"id-{name}", "10.0.0.1", forwarded=False, name=name, kind="user")


def with_token(access: Mapping[str, frozenset[str]], name: str = "ann") -> Principal:
    """Return somebody who presented a bearer token."""
    return Principal(f"id-{name}", "10.0.0.1", forwarded=False, name=name, kind="user", access=access)


@dataclass
class HandClock:
    """Seconds that pass when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class HandEpochs:
    """Implements `Epochs`."""

    moved: int = 0
    fresh: bool = True

    def require_fresh(self) -> None:
        """See the protocol."""
        if not self.fresh:
            raise MetadataUnavailableError("by hand")

    def is_current(self, subject: str, subject_epoch: int, projects: Mapping[str, int]) -> bool:
        """See the protocol."""
        return True

    async def ask(self, subjects: Collection[str], projects: Collection[str]) -> EpochsNamed:
        """See the protocol."""
        return EpochsNamed(dict.fromkeys(subjects, 0), dict.fromkeys(projects, 0), frozenset())

    def moves(self) -> int:
        """See the protocol."""
        return self.moved


@dataclass
class TableDecisions:
    """Implements `Decisions` from tables; `asked` counts the questions."""

    repositories: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    registry: frozenset[str] = frozenset()
    projects: dict[str | int, ProjectStanding] = field(default_factory=dict[str | int, ProjectStanding])
    asked: int = 0

    async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
        """See the protocol."""
        self.asked += 1
        return RepositoryStanding(repository.project, 0, self.repositories.get(repository.text, frozenset()))

    async def on_registry(self, principal: Principal) -> frozenset[str]:
        """See the protocol."""
        self.asked += 1
        return self.registry

    async def in_every_project(self, principal: Principal) -> frozenset[str]:
        """See the protocol."""
        self.asked += 1
        return frozenset()

    async def on_project(self, principal: Principal, project: str | int) -> ProjectStanding | None:
        """See the protocol."""
        self.asked += 1
        return self.projects.get(project)
