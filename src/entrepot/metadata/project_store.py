"""The protocols of projects: what they are, who sees them, and how units make, change and delete them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from entrepot.metadata.list_filters import ANY_ROW, WantedRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "HeldProject",
    "ListedProject",
    "NewProject",
    "ProjectPage",
    "ProjectQuery",
    "ProjectReader",
    "ProjectRows",
    "ProjectSort",
    "StoredRobotPermissions",
    "Viewer",
]

ProjectSort = Literal[
    "id", "-id", "name", "-name", "creation_time", "-creation_time", "update_time", "-update_time"
]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at projects.

    What is public they see in any case, but for the last two.

    Attributes:
        subject: the public id of the person whose roles are told with each project; empty for nobody.
        member: the public id of the person whose memberships count: who looks, or who answers for the robot that does.
        everything: whether that person sees all projects, member or not.
        roles: names of the roles that let members see a project.
        reach: names of the projects that a robot may see at all, `None` for any.
        only_projects: the names to which a credential is limited, `None` for no limit.
        sees_public: whether it is for everybody to see where it is public.
    """

    subject: str = ""
    member: str = ""
    everything: bool = False
    roles: Sequence[str] = ()
    reach: Sequence[str] | None = None
    only_projects: Sequence[str] | None = None
    sees_public: bool = True

    @property
    def sees_all(self) -> bool:
        """Whether no project that is there is kept from them."""
        return self.everything and self.reach is None and self.only_projects is None


@dataclass(frozen=True, slots=True)
class ProjectQuery:
    """Which projects of those that are seen, and which page of them.

    Attributes:
        name: the exact name, empty for any.
        name_part: what the name contains, empty for anything.
        owner: the name of the person who owns it, empty for anybody.
        wanted: names and times of making.
    """

    limit: int
    offset: int = 0
    sort: ProjectSort = "name"
    name: str = ""
    name_part: str = ""
    public: bool | None = None
    owner: str = ""
    wanted: WantedRows = ANY_ROW


@dataclass(frozen=True, slots=True)
class ListedProject:
    """A project as people see it. Times are milliseconds since 1970.

    Attributes:
        owner_id: the number of the owner's row, `None` when nobody owns it.
        repository_count: how many live repositories it has.
        roles: names of the roles that whoever lists projects holds in it, by groups as well, and on the system.
    """

    id: int
    name: str
    owner_id: int | None
    owner_name: str
    is_public: bool
    repository_creation: str
    created_at: int
    updated_at: int
    repository_count: int
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """One page of projects and how many there are on all pages."""

    projects: Sequence[ListedProject]
    total: int


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project to be made."""

    public_id: str
    name: str
    creator: str
    owner_id: int | None
    is_public: bool
    repository_creation: str


@dataclass(frozen=True, slots=True)
class HeldProject:
    """A project whose row the unit holds."""

    id: int
    name: str
    is_public: bool
    repository_creation: str
    owner_id: int | None


@dataclass(frozen=True, slots=True)
class StoredRobotPermissions:
    """What a robot may do, as it is stored (JSON)."""

    subject_id: int
    permissions: bytes


class ProjectReader(Protocol):
    """Projects as the API shows them."""

    async def list_page(self, viewer: Viewer, query: ProjectQuery) -> ProjectPage:
        """Return a page of the projects that the viewer sees."""
        ...

    async def describe(self, project_id: int) -> ListedProject | None:
        """Return a project that is not deleted."""
        ...

    async def number_of(self, name: str) -> int | None:
        """Return the number of the project that has a name, which one that was deleted keeps until another takes it."""
        ...

    async def metadata(self, project_id: int) -> Mapping[str, str]:
        """Return what is kept as text about a project."""
        ...

    async def member_counts(self, project_id: int) -> Mapping[str, int]:
        """Return how many members have which role, by the role's name."""
        ...

    async def used_bytes(self, project_id: int) -> int:
        """Return the bytes of the live blobs that live repositories of the project link to, each counted once."""
        ...


class ProjectRows(Protocol):
    """Projects within a unit."""

    async def owner_for(self, creator: str) -> int | None:
        """Return the number of the person who owns what the subject (public id) makes: for a robot, who made it."""
        ...

    async def insert(self, project: NewProject) -> int | None:
        """Make a project and return its number; `None` when there is one of that name.

        A deleted one of that name gives the name up, and the new one begins with a greater epoch: what was issued for
        the old one is worth nothing with the new one.
        """
        ...

    async def hold(self, project_id: int) -> HeldProject | None:
        """Keep everybody from a project that is not deleted until the unit ends: nobody makes a repository in it."""
        ...

    async def share(self, name: str) -> int | None:
        """Keep everybody from deleting the project until the unit ends and return its number; `None` without one."""
        ...

    async def live_repositories(self, project_id: int) -> int:
        """Return how many repositories a held project has."""
        ...

    async def change(self, project_id: int, *, is_public: bool, repository_creation: str) -> None:
        """Set what decides about access, and move the epoch."""

    async def move_epoch(self, project_id: int) -> None:
        """Let everything die that was issued or remembered about the project."""

    async def touch(self, project_id: int) -> None:
        """Note that something about the project changed that decides nothing."""

    async def delete(self, project_id: int) -> None:
        """Delete a held project with its members, robots, labels and metadata, and move its epoch and the robots'."""

    async def metadata(self, project_id: int) -> Mapping[str, str]:
        """Return what is kept as text about a project."""
        ...

    async def put_metadata(self, project_id: int, values: Mapping[str, str]) -> None:
        """Set texts by name."""

    async def remove_metadata(self, project_id: int, name: str) -> bool:
        """Remove a text; return whether there was one."""
        ...

    async def system_robots(self) -> Sequence[StoredRobotPermissions]:
        """Return what the robots of the system may do; others are kept from them until the unit ends."""
        ...

    async def change_robot(self, robot: StoredRobotPermissions) -> None:
        """Set what a robot may do, and move its epoch."""
