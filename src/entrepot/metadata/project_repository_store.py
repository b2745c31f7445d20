"""The protocols of repositories as people see them: described, listed by project, made empty, deleted as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.project_store import Viewer

__all__ = [
    "DeletedContent",
    "ListedRepository",
    "ListedRepositoryPage",
    "ProjectRepositoryReader",
    "ProjectRepositoryRows",
    "RepositoryQuery",
    "RepositorySort",
]

RepositorySort = Literal[
    "id", "-id", "name", "-name", "creation_time", "-creation_time", "update_time", "-update_time"
]


@dataclass(frozen=True, slots=True)
class RepositoryQuery:
    """Which repositories, and which page of them.

    Attributes:
        project_id: of which project, 0 for all that are seen.
        name: the exact full name, empty for any.
        name_part: what the full name contains, empty for anything.
    """

    limit: int
    offset: int = 0
    sort: RepositorySort = "name"
    project_id: int = 0
    name: str = ""
    name_part: str = ""


@dataclass(frozen=True, slots=True)
class ListedRepository:
    """A live repository. Times are milliseconds since 1970.

    Attributes:
        name: the full name, project included.
        artifact_count: how many live manifests it has.
        pull_count: 0: nothing counts pulls yet.
    """

    id: int
    project_id: int
    name: str
    description: str
    artifact_count: int
    pull_count: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class ListedRepositoryPage:
    """One page of repositories, and how many there are on all pages."""

    repositories: Sequence[ListedRepository]
    total: int


@dataclass(frozen=True, slots=True)
class DeletedContent:
    """How much went with a repository."""

    manifests: int
    tags: int


class ProjectRepositoryReader(Protocol):
    """Repositories as the API shows them."""

    async def list_page(self, viewer: Viewer, query: RepositoryQuery) -> ListedRepositoryPage:
        """Return a page of the repositories in the projects that the viewer sees."""
        ...

    async def find(self, project_id: int, name: str) -> ListedRepository | None:
        """Return a repository of this very project (S7) by its full name."""
        ...


class ProjectRepositoryRows(Protocol):
    """Repositories within a unit."""

    async def insert(self, project_id: int, name: str, public_id: str, creator: str) -> int | None:
        """Make an empty repository in a held project and return its number; `None` when there is one of that name."""
        ...

    async def hold(self, project_id: int, name: str) -> tuple[int, str] | None:
        """Keep everybody from a live repository until the unit ends; return its number and its description.

        A push that is under way is waited for, and a later one finds what the unit made of the repository.
        """
        ...

    async def hold_named(self, name: str) -> int | None:
        """Do the same for a repository of whatever project."""
        ...

    async def describe(self, repository_id: int, description: str) -> None:
        """Set the description of a held repository."""

    async def delete(self, repository_id: int, actor: str) -> DeletedContent:
        """Delete a held repository: its tags, with a line in their histories, and its manifests. The name is free."""
        ...
