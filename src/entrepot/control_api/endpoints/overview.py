"""What a registry has, as far as the one who asks sees it: counts, and what has a text in its name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.project_actions import ListRepository, ReadProject
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import Anyone
from entrepot.control_api.endpoints.projects import Project, shown_project
from entrepot.control_api.endpoints.repositories import UNCOUNTED
from entrepot.control_api.reply import json_reply
from entrepot.metadata.project_repository_store import RepositoryQuery
from entrepot.metadata.project_store import ProjectQuery
from entrepot.oci.names import DEFAULT_PROJECT

if TYPE_CHECKING:
    from entrepot.control_api.credentials import Caller
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.project_repository_store import ListedRepository

__all__ = ["OVERVIEW_ENDPOINTS", "Search", "Statistic"]

_MOST_FOUND: Final = 100


class Statistic(msgspec.Struct, frozen=True):
    """How many projects and repositories there are to see; the private ones are those that not everybody sees."""

    private_project_count: int
    private_repo_count: int
    public_project_count: int
    public_repo_count: int
    total_project_count: int
    total_repo_count: int


class SearchRepository(msgspec.Struct, frozen=True):
    """A repository that was found."""

    project_id: int
    project_name: str
    repository_name: str
    pull_count: Annotated[int, msgspec.Meta(description=UNCOUNTED)]
    artifact_count: int


class Search(msgspec.Struct, frozen=True):
    """What was found."""

    project: tuple[Project, ...]
    repository: tuple[SearchRepository, ...]


class SearchInputs(msgspec.Struct, frozen=True):
    """What the name contains."""

    q: Annotated[str, msgspec.Meta(max_length=255)] = ""


def _found(repository: ListedRepository) -> SearchRepository:
    project, slash, _ = repository.name.partition("/")
    return SearchRepository(
        repository.project_id,
        project if slash else DEFAULT_PROJECT,
        repository.name,
        repository.pull_count,
        repository.artifact_count,
    )


async def get_statistics(services: ControlServices, call: Call[Caller, NoInputs, NoBody]) -> Reply:
    """Count what the one who asks sees."""
    of_projects, of_repositories = ProjectQuery(limit=1, offset=0), RepositoryQuery(limit=1)
    sight = await services.visibility.sight(call.grant.principal, ReadProject)
    projects = (await services.projects.list_visible(sight, of_projects)).total
    public = (await services.projects.list_visible(sight, replace(of_projects, public=True))).total
    listed = await services.visibility.sight(call.grant.principal, ListRepository)
    repositories = (await services.repositories.list_visible(listed, of_repositories)).total
    open_to_all = (await services.repositories.list_visible(listed.of_public(), of_repositories)).total
    shown = Statistic(
        private_project_count=projects - public,
        private_repo_count=max(repositories - open_to_all, 0),  # one may have come between
        public_project_count=public,
        public_repo_count=min(open_to_all, repositories),
        total_project_count=projects,
        total_repo_count=repositories,
    )
    return json_reply(shown)


async def search(services: ControlServices, call: Call[Caller, SearchInputs, NoBody]) -> Reply:
    """Find projects and repositories that the one who asks sees, up to a hundred of each, by name."""
    principal, part = call.grant.principal, call.inputs.q
    projects = await services.projects.list_visible(
        await services.visibility.sight(principal, ReadProject),
        ProjectQuery(limit=_MOST_FOUND, offset=0, name_part=part),
    )
    repositories = await services.repositories.list_visible(
        await services.visibility.sight(principal, ListRepository),
        RepositoryQuery(limit=_MOST_FOUND, name_part=part),
    )
    shown = Search(
        tuple(shown_project(project, project.roles) for project in projects.projects),
        tuple(_found(repository) for repository in repositories.repositories),
    )
    return json_reply(shown)


OVERVIEW_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/statistics",
        operation="api.statistic.read",
        operation_id="getStatistic",
        tag="statistic",
        summary="How many projects and repositories the one who asks sees.",
        demand=Anyone(),
        handler=get_statistics,
        inputs=NoInputs,
        body=NoBody,
        result=Statistic,
    ),
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/search",
        operation="api.search",
        operation_id="search",
        tag="search",
        summary="Projects and repositories to see whose names contain `q`, 100 of each at most.",
        demand=Anyone(),
        handler=search,
        inputs=SearchInputs,
        body=NoBody,
        result=Search,
    ),
)
