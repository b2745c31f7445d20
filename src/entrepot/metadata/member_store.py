"""The protocols of the members of a project: people and groups with one role each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MemberKind", "MemberPage", "MemberReader", "MemberRow", "MemberRows", "SubjectRow"]

MemberKind = Literal["user", "group"]


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A person or group by its number."""

    id: int
    kind: MemberKind
    name: str


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member; `id` is the number of the assignment, `role` a role's name."""

    id: int
    project_id: int
    subject: SubjectRow
    role: str


@dataclass(frozen=True, slots=True)
class MemberPage:
    """One page of members, and how many there are on all pages."""

    members: Sequence[MemberRow]
    total: int


class MemberReader(Protocol):
    """Members as the API shows them."""

    async def list_page(self, project_id: int, name_part: str, limit: int, offset: int) -> MemberPage:
        """Return a page of members in the order of their names; `name_part` filters by what a name contains."""
        ...

    async def find(self, project_id: int, member_id: int) -> MemberRow | None:
        """Return a member of this very project (S7)."""
        ...


class MemberRows(Protocol):
    """Members within a unit that holds the project."""

    async def subject_by_id(self, kind: MemberKind, number: int) -> SubjectRow | None:
        """Return a person or group that is not disabled."""
        ...

    async def subject_by_name(self, kind: MemberKind, name: str) -> SubjectRow | None:
        """Return a person or group that is not disabled."""
        ...

    async def find(self, project_id: int, member_id: int) -> MemberRow | None:
        """Return a member of this very project (S7)."""
        ...

    async def count_with_role(self, project_id: int, role: str) -> int:
        """Return how many members have the role."""
        ...

    async def insert(self, project_id: int, subject_id: int, role: str, creator: str) -> int | None:
        """Add a member and return its number; `None` when the subject is one already."""
        ...

    async def set_role(self, project_id: int, member_id: int, role: str) -> None:
        """Change a member's role."""

    async def remove(self, project_id: int, member_id: int) -> None:
        """Remove a member."""

    async def custom_role_exists(self, name: str) -> bool:
        """Whether there is a role of projects of this name that is not built in."""
        ...
