"""Finds projects: the listing of those that somebody sees, and whether there is one of a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, get_args

import msgspec

from entrepot.auth.project_actions import ReadProject
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import Anyone
from entrepot.control_api.endpoints.projects import Project, shown_project
from entrepot.control_api.errors import ItemUnknownError
from entrepot.control_api.filters import FilterField
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.plain_filters import MADE, NAME, parse_plain_filters
from entrepot.control_api.reply import DONE, page_reply
from entrepot.control_api.sorting import parse_order
from entrepot.metadata.project_store import ProjectQuery, ProjectSort

if TYPE_CHECKING:
    from entrepot.control_api.credentials import Caller
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["PROJECT_LISTING_ENDPOINTS"]

_PROJECTS: Final = f"{API_PREFIX}/projects"
_FILTERS: Final = {
    "name": FilterField("name", "text", NAME),
    "creationtime": MADE,
    "public": FilterField("public", "truth", frozenset({"exact"})),
    "owner": FilterField("owner", "text", frozenset({"exact"})),
}
_SORTS: Final = {
    "projectid": "id",
    "name": "name",
    "creationtime": "creation_time",
    "updatetime": "update_time",
}
_ORDERS: Final[tuple[ProjectSort, ...]] = get_args(ProjectSort)


class ProjectListInputs(PageInputs, frozen=True):
    """Which projects are meant."""

    q: str = ""
    sort: str = ""
    name: Annotated[str, msgspec.Meta(max_length=255, description="What the name contains.")] = ""
    public: bool | None = None
    owner: str = ""
    with_detail: bool = True


class ProjectNameInputs(msgspec.Struct, frozen=True):
    """Which name is meant."""

    project_name: str


def _query(inputs: ProjectListInputs) -> ProjectQuery:
    filters = parse_plain_filters(inputs.q, _FILTERS)
    return ProjectQuery(
        limit=inputs.page_size,
        offset=inputs.offset,
        sort=parse_order(inputs.sort, _SORTS, _ORDERS, "name"),
        name=filters.text("name"),
        name_part=filters.part_beside("name", inputs.name),
        public=filters.truth_beside("public", inputs.public),
        owner=filters.text_beside("owner", inputs.owner),
        wanted=filters.wanted("name", MADE.name),
    )


async def list_projects(services: ControlServices, call: Call[Caller, ProjectListInputs, NoBody]) -> Reply:
    """List the projects that the one who asks sees."""
    sight = await services.visibility.sight(call.grant.principal, ReadProject)
    page = await services.projects.list_visible(sight, _query(call.inputs))
    shown = [shown_project(project, project.roles) for project in page.projects]
    return page_reply(shown, page.total, call.inputs, call.head)


async def find_project(services: ControlServices, call: Call[Caller, ProjectNameInputs, NoBody]) -> Reply:
    """Answer whether a project of this name is there to see (S19)."""
    sight = await services.visibility.sight(call.grant.principal, ReadProject)
    if not await services.projects.exists(sight, call.inputs.project_name):
        raise ItemUnknownError("project")
    return DONE


PROJECT_LISTING_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_PROJECTS,
        operation="api.project.list",
        operation_id="listProjects",
        tag="project",
        summary="The projects that the one who asks sees.",
        demand=Anyone(),
        handler=list_projects,
        inputs=ProjectListInputs,
        body=NoBody,
        result=list[Project],
    ),
    Endpoint(
        method="HEAD",
        path=_PROJECTS,
        operation="api.project.find",
        operation_id="headProject",
        tag="project",
        summary="Whether a project of this name is there to see; 404 if not.",
        demand=Anyone(),
        handler=find_project,
        inputs=ProjectNameInputs,
        body=NoBody,
    ),
)
