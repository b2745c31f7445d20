"""The protocol of the facts that access is decided by, each answer from one statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["AskedProject", "GivenRole", "HeldRole", "ProjectFacts", "StandingReader", "SubjectFacts"]


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role that a subject has, by itself or by a group.

    Attributes:
        on_system: whether it was given on the system and not in the project.
        level: of a custom role, `None` for all others.
        permissions: of a custom role, a JSON array of names.
    """

    name: str
    on_system: bool
    level: Literal["project", "system"] | None = None
    permissions: bytes | None = None


@dataclass(frozen=True, slots=True)
class GivenRole:
    """A role of a person or group, wherever it was given.

    Attributes:
        project_id: where; `None` on the system.
        level, permissions: of a custom role that is there, `None` for all others.
    """

    name: str
    project_id: int | None
    level: Literal["project", "system"] | None = None
    permissions: bytes | None = None


@dataclass(frozen=True, slots=True)
class SubjectFacts:
    """A subject that is not disabled and, as a robot, has not expired.

    Attributes:
        robot_permissions: a JSON array of kind, namespace and access; `None` for people.
        robot_project_id: of a robot that belongs to a project.
    """

    kind: str
    must_change_password: bool
    roles: tuple[HeldRole, ...]
    robot_permissions: bytes | None = None
    robot_project_id: int | None = None


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """What decides in a project, whoever asks."""

    project_id: int
    name: str
    epoch: int
    is_public: bool
    repository_creation: str


@dataclass(frozen=True, slots=True)
class AskedProject:
    """A project that somebody asks about, and who that is. Both are read in any case: no time tells of one (S19).

    Attributes:
        project: `None` where there is none.
        subject: `None` for everybody who is not known, or not any more.
    """

    project: ProjectFacts | None
    subject: SubjectFacts | None


class StandingReader(Protocol):
    """What decisions are made from. Each call is one statement; nothing is remembered."""

    async def in_project(self, subject: str, project: str | int) -> AskedProject:
        """Return a project by name or number, and the standing of a subject (public id) also where there is none."""
        ...

    async def on_system(self, subject: str) -> SubjectFacts | None:
        """Return the standing of a subject on the system."""
        ...

    async def epochs_of(self, subject_ids: Collection[int]) -> Mapping[int, int]:
        """Return the epochs of those of these subjects (by number) that exist."""
        ...

    async def roles_of(self, subject_id: int) -> Sequence[GivenRole]:
        """Return every role of a person or group (by number), a person's groups' too, disabled or not."""
        ...

    async def roles_of_all(self, subject_ids: Collection[int]) -> Sequence[GivenRole]:
        """Return each role once that any of these people has, or anybody in one of these groups, as `roles_of` does."""
        ...

    async def roles_of_holders(self, role: str) -> Sequence[GivenRole]:
        """Return the same for all who have a role, on the system or in a project, by themselves or by a group."""
        ...
