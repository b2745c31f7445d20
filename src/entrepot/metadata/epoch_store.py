"""The protocols of epochs: the units that change rights move them, and every process reads which ones moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["EpochReader", "EpochRows", "EpochsFound"]


@dataclass(frozen=True, slots=True)
class EpochsFound:
    """What one look found: epochs of subjects by public id, and of projects by name.

    Attributes:
        moved_subjects, moved_projects: those that moved within the window.
        named_subjects, named_projects: those that were asked for by name and exist.
    """

    moved_subjects: Mapping[str, int]
    moved_projects: Mapping[str, int]
    named_subjects: Mapping[str, int]
    named_projects: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EpochsNamed:
    """The epochs of what was asked for by name, as far as it exists.

    Attributes:
        settled_projects: those that did not move within the window.
    """

    subjects: Mapping[str, int]
    projects: Mapping[str, int]
    settled_projects: frozenset[str]


class EpochReader(Protocol):
    """Epochs as the watch of each process asks for them."""

    async def look(
        self, window_milliseconds: int, subjects: Collection[str], projects: Collection[str]
    ) -> EpochsFound:
        """Return what moved within the window (by the database's clock), and those that are named. One statement."""
        ...

    async def named(
        self, window_milliseconds: int, subjects: Collection[str], projects: Collection[str]
    ) -> EpochsNamed:
        """Return those that are named. One statement by keys, for each token that a process meets."""
        ...


class EpochRows(Protocol):
    """Epochs within a unit. Each call that moves one also notes the time, by which the watches find what moved."""

    async def of_subjects(self, subjects: Collection[str]) -> Mapping[str, int]:
        """Return the epochs of those of these subjects (public ids) that exist."""
        ...

    async def hold_order(self) -> None:
        """Have all units that call this wait for one another, each until the one before has ended."""

    async def hold_subjects(self, subjects: Collection[str]) -> Mapping[str, int]:
        """Return what `of_subjects` does, and keep it so until the unit ends, but for what the unit does itself."""
        ...

    async def hold_numbered(self, subject_ids: Collection[int]) -> Mapping[int, int]:
        """Do the same for subjects by number."""
        ...

    async def hold_projects(self, projects: Collection[int]) -> Mapping[int, int]:
        """Return the epochs of those of these projects (by number) that exist, and keep them so."""
        ...

    async def move_subjects(self, subject_ids: Sequence[int]) -> None:
        """Let everything die that was issued to these subjects."""

    async def move_with_members(self, subject_id: int) -> None:
        """The same for one subject and, where it is a group, for everybody in it."""

    async def move_holders(self, role: str) -> None:
        """The same for all who have a role anywhere, by themselves or by a group."""

    async def move_project(self, project_id: int) -> None:
        """Let everything die that was issued for a project."""
