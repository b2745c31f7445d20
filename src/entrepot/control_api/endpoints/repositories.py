"""Repositories, as Harbor's API shows them; that they can be made empty is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, get_args

import msgspec

from entrepot.auth.project_actions import (
    CreateRepository,
    DeleteRepository,
    ListRepository,
    ReadRepository,
    UpdateRepository,
)
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import Anyone, InProject
from entrepot.control_api.filters import FilterField
from entrepot.control_api.names import format_time, repository_location, repository_within
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.plain_filters import parse_plain_filters
from entrepot.control_api.reply import DONE, created, json_reply, page_reply
from entrepot.control_api.sorting import parse_order
from entrepot.metadata.project_repository_store import RepositoryQuery, RepositorySort

if TYPE_CHECKING:
    from entrepot.auth.grants import ProjectGrant
    from entrepot.control_api.credentials import Caller
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.project_repository_store import ListedRepository

__all__ = ["REPOSITORY_ENDPOINTS", "UNCOUNTED", "Repository"]

_ALL: Final = f"{API_PREFIX}/projects/{{project_name}}/repositories"
_ONE: Final = f"{_ALL}/{{repository_name}}"
_LONGEST_NAME: Final = 257
"""Of the longest name that has one segment, with `_/` before it."""

_FILTERS: Final = {"name": FilterField("name")}
_SORTS: Final = {
    "id": "id",
    "name": "name",
    "creationtime": "creation_time",
    "updatetime": "update_time",
}
_ORDERS: Final[tuple[RepositorySort, ...]] = get_args(RepositorySort)


UNCOUNTED: Final = "Always 0: pulls are not counted yet, so it does not tell what is in use."
"""Harbor's clients need the field."""


class Repository(msgspec.Struct, frozen=True):
    """A repository; `name` is the full one, project included."""

    id: int
    project_id: int
    name: str
    description: str
    artifact_count: int
    pull_count: Annotated[int, msgspec.Meta(description=UNCOUNTED)]
    creation_time: str
    update_time: str


class RepositoryReq(msgspec.Struct, frozen=True):
    """A repository to be made; `name` is the one within its project, in `library` with `_/` for one of one segment."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_NAME)]


class RepositoryUpdate(msgspec.Struct, frozen=True):
    """What can be changed of a repository."""

    description: str


class RepositoryListInputs(PageInputs, frozen=True):
    """Which repositories are meant."""

    q: str = ""
    sort: str = ""


class ProjectRepositoryListInputs(PageInputs, frozen=True):
    """Which repositories of a project are meant."""

    project_name: str
    q: str = ""
    sort: str = ""


class RepositoryProjectInputs(msgspec.Struct, frozen=True):
    """Which project is meant."""

    project_name: str


class RepositoryInputs(msgspec.Struct, frozen=True):
    """Which repository is meant; its name is encoded twice, since it may hold slashes."""

    project_name: str
    repository_name: str


def _shown(repository: ListedRepository) -> Repository:
    return Repository(
        id=repository.id,
        project_id=repository.project_id,
        name=repository.name,
        description=repository.description,
        artifact_count=repository.artifact_count,
        pull_count=repository.pull_count,
        creation_time=format_time(repository.created_at),
        update_time=format_time(repository.updated_at),
    )


def _query(inputs: RepositoryListInputs | ProjectRepositoryListInputs) -> RepositoryQuery:
    filters = parse_plain_filters(inputs.q, _FILTERS)
    return RepositoryQuery(
        limit=inputs.page_size,
        offset=inputs.offset,
        sort=parse_order(inputs.sort, _SORTS, _ORDERS, "name"),
        name=filters.text("name"),
        name_part=filters.part("name"),
    )


async def list_all_repositories(
    services: ControlServices, call: Call[Caller, RepositoryListInputs, NoBody]
) -> Reply:
    """List the repositories of all projects that the one who asks sees."""
    inputs = call.inputs
    sight = await services.visibility.sight(call.grant.principal, ListRepository)
    page = await services.repositories.list_visible(sight, _query(inputs))
    return page_reply([_shown(one) for one in page.repositories], page.total, inputs, call.head)


async def list_repositories(
    services: ControlServices, call: Call[ProjectGrant[ListRepository], ProjectRepositoryListInputs, NoBody]
) -> Reply:
    """List the repositories of a project."""
    inputs = call.inputs
    page = await services.repositories.list_of_project(call.grant, _query(inputs))
    return page_reply([_shown(one) for one in page.repositories], page.total, inputs, call.head)


async def create_repository(
    services: ControlServices,
    call: Call[ProjectGrant[CreateRepository], RepositoryProjectInputs, RepositoryReq],
) -> Reply:
    """Make an empty repository."""
    full = await services.repositories.create(call.grant, call.body.name)
    collection = _ALL.replace("{project_name}", call.grant.project)
    return created(repository_location(collection, full.name_within))


async def read_repository(
    services: ControlServices, call: Call[ProjectGrant[ReadRepository], RepositoryInputs, NoBody]
) -> Reply:
    """Show a repository."""
    name = repository_within(call.inputs.repository_name)
    return json_reply(_shown(await services.repositories.get(call.grant, name)))


async def update_repository(
    services: ControlServices, call: Call[ProjectGrant[UpdateRepository], RepositoryInputs, RepositoryUpdate]
) -> Reply:
    """Describe a repository."""
    name = repository_within(call.inputs.repository_name)
    await services.repositories.describe(call.grant, name, call.body.description)
    return DONE


async def delete_repository(
    services: ControlServices, call: Call[ProjectGrant[DeleteRepository], RepositoryInputs, NoBody]
) -> Reply:
    """Delete a repository with everything in it."""
    await services.repositories.delete(call.grant, repository_within(call.inputs.repository_name))
    return DONE


REPOSITORY_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/repositories",
        operation="api.repository.list-all",
        operation_id="listAllRepositories",
        tag="repository",
        summary="The repositories of all projects that the one who asks sees, by `q` on name.",
        demand=Anyone(),
        handler=list_all_repositories,
        inputs=RepositoryListInputs,
        body=NoBody,
        result=list[Repository],
    ),
    Endpoint(
        method="GET",
        path=_ALL,
        operation="api.repository.list",
        operation_id="listRepositories",
        tag="repository",
        summary="The repositories of a project, by `q` on name.",
        demand=InProject(ListRepository, "project_name"),
        handler=list_repositories,
        inputs=ProjectRepositoryListInputs,
        body=NoBody,
        result=list[Repository],
    ),
    Endpoint(
        method="POST",
        path=_ALL,
        operation="api.repository.create",
        operation_id="createRepository",
        tag="repository",
        summary="Make an empty repository, for those who push and may not create any.",
        demand=InProject(CreateRepository, "project_name"),
        handler=create_repository,
        inputs=RepositoryProjectInputs,
        body=RepositoryReq,
        status=201,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        operation="api.repository.read",
        operation_id="getRepository",
        tag="repository",
        summary="A repository.",
        demand=InProject(ReadRepository, "project_name"),
        handler=read_repository,
        inputs=RepositoryInputs,
        body=NoBody,
        result=Repository,
    ),
    Endpoint(
        method="PUT",
        path=_ONE,
        operation="api.repository.update",
        operation_id="updateRepository",
        tag="repository",
        summary="Describe a repository; all else that is sent is ignored.",
        demand=InProject(UpdateRepository, "project_name"),
        handler=update_repository,
        inputs=RepositoryInputs,
        body=RepositoryUpdate,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        operation="api.repository.delete",
        operation_id="deleteRepository",
        tag="repository",
        summary="Delete a repository with its tags and manifests.",
        demand=InProject(DeleteRepository, "project_name"),
        handler=delete_repository,
        inputs=RepositoryInputs,
        body=NoBody,
    ),
)
