"""The protocols of roles that are given on the system; those in a project are its members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Assignee", "AssigneeKind", "AssignmentReader", "AssignmentRows", "SystemAssignment"]

AssigneeKind = Literal["user", "group"]


@dataclass(frozen=True, slots=True)
class Assignee:
    """Who can be given a role: a person or a group."""

    subject_id: int
    kind: AssigneeKind
    name: str


@dataclass(frozen=True, slots=True)
class SystemAssignment:
    """One role of one subject on the system. `created_at` is milliseconds since 1970."""

    id: int
    role: str
    assignee: Assignee
    created_at: int
    creator: str


class AssignmentReader(Protocol):
    """Roles on the system. Each call is one statement."""

    async def list_system(self, limit: int, skip: int) -> Sequence[SystemAssignment]:
        """Return up to `limit` assignments by number, without the first `skip`."""
        ...

    async def count_system(self) -> int:
        """Return how many there are."""
        ...

    async def find_system(self, assignment_id: int) -> SystemAssignment | None:
        """Return one by its number; `None` as well where it is that of a project's member."""
        ...


class AssignmentRows(Protocol):
    """Roles on the system within a unit."""

    async def hold_assignee(self, subject_id: int) -> Assignee | None:
        """Return a person or group, who is not deleted until the unit ends; `None` for anything else."""
        ...

    async def add_system(self, subject_id: int, role: str, creator: str) -> int | None:
        """Give a role and return the assignment's number; `None` when the subject has it already."""
        ...

    async def hold_system(self, assignment_id: int) -> SystemAssignment | None:
        """Return an assignment that nobody else takes until the unit ends."""
        ...

    async def remove_system(self, assignment_id: int) -> None:
        """Take a held assignment."""

    async def active_holders(self, role: str) -> frozenset[int]:
        """Return the numbers of the people who are not disabled and have a role on the system, also by a group."""
        ...

    async def hold_holders(self, role: str) -> None:
        """Let no other unit that holds the same role go on until this one ends.

        A unit that takes a role from people, a group from the role, or people from a group holds it first, so that of
        two administrators who demote each other one remains.
        """
